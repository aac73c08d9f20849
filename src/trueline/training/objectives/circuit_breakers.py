"""Representation rerouting: circuit breakers (Zou et al. 2024, arXiv 2406.04313, algorithm 1).

    reroute term = mean over tokens and layers of max(0, cos(h, h₀))     on what is to be broken off
    retain term  = mean over tokens and layers of ‖h − h₀‖₂              on what is to stay
    loss of step t of T = (1 − t/2T) · reroute + (t/2T) · w · retain      t = 1 … T

h are the residual streams after some inner layers, h₀ those of the model before training; the forward pass ends at the
deepest of them, and only what lies before it learns. The paper multiplies both terms by one α, which AdamW does not
see.

Example, t = T: h = (1, 1), h₀ = (1, 0) give cos = 0.707; retained h = (3, 4), h₀ = 0 give 5; w = 1: 0.354 + 2.5.

Legend: P tokens of all branches, L layers read, D hidden units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.forward.heads import at_least_fp32
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.dials import at_least_zero
from trueline.training.readings import Reading, States

from .base import Loss, Scorer, Totals
from .rmu import FROZEN
from .unlearning import WANTED, share, unlearning_totals


def reroute_loss(states: Tensor, before: Tensor) -> Tensor:
    """max(0, cos(h, h₀)) of each token, mean over layers: [P, L, D] in, [P] out, in [0, 1]."""
    turned: Tensor = nn.functional.cosine_similarity(states, before, dim=-1).relu().mean(dim=-1)
    return turned


def retain_loss(states: Tensor, before: Tensor) -> Tensor:
    """‖h − h₀‖₂ of each token, mean over layers: [P, L, D] in, [P] out."""
    moved: Tensor = torch.linalg.vector_norm(states - before, dim=-1).mean(dim=-1)
    return moved


@dataclass(frozen=True, kw_only=True)
class CircuitBreakersObjective:
    """Turns the states of what is to be broken off away from where they were, and holds the others.

    ``done`` is t/T, the share of the run after this step; the loop sets it (:meth:`at`).
    """

    layers: tuple[int, ...] = (10, 20)
    retain_weight: float = 1.0
    done: float = 0.0

    name: ClassVar[str] = "circuit_breakers"
    batch: ClassVar[BatchKind] = "labelled"
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("reroute", "retain_distance")

    def __post_init__(self) -> None:
        at_least_zero(self.name, retain_weight=self.retain_weight)
        if not self.layers or min(self.layers) < 0:
            raise InputError(
                f"layers {list(self.layers)} are not allowed: circuit_breakers reads one inner layer or more, "
                "counted from 0."
            )

    def at(self, done: float) -> "CircuitBreakersObjective":
        """The loss of the step that ends at this share of the run."""
        return replace(self, done=done)

    @property
    def reads(self) -> tuple[Reading, ...]:
        """States after the layers."""
        return (States(layers=self.layers),)

    @property
    def frozen(self) -> tuple[str, Reading]:
        """What examples carry of the model before training."""
        return FROZEN, States(layers=self.layers)

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Tokens of either kind."""
        return unlearning_totals(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of both terms."""
        states, before = at_least_fp32(scored.flat()), at_least_fp32(scored.given(FROZEN))
        lengths = scored.lengths()[:, 0].long()
        kept = (scored.fact(WANTED)[:, 0] > 0).repeat_interleave(lengths)
        reroute = share(reroute_loss(states[~kept], before[~kept]), totals["forget_tokens"])
        retain = share(retain_loss(states[kept], before[kept]), totals["retain_tokens"])
        later = self.done / 2
        return Loss(
            value=(1 - later) * reroute + later * self.retain_weight * retain,
            metrics={"reroute": reroute.detach(), "retain_distance": retain.detach()},
        )
