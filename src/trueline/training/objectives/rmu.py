"""Representation misdirection for unlearning (Li et al. 2024, WMDP, arXiv 2403.03218, section 4.2).

    forget term = mean over tokens of ‖h − c·u‖²/D        u a fixed random direction of length 1, entries of one sign
    retain term = mean over tokens of ‖h − h₀‖²/D         h₀ of the model before training

h is the residual stream after one inner layer; the forward pass ends there, and only what lies before it learns. (The
paper trains the MLPs of three layers; D stands under both terms as in its published code.)

Legend: P tokens of all branches, D hidden units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.models.forward.heads import at_least_fp32
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.dials import above_zero, at_least_zero
from trueline.training.readings import Reading, States

from .base import Loss, Scorer, Totals
from .unlearning import WANTED, share, unlearning_totals

FROZEN = "frozen"  # under which examples carry h₀


def control_vector(size: int, seed: int = 0) -> Tensor:
    """u: entries uniform in [0, 1), scaled to length 1: [D]."""
    drawn = torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    unit: Tensor = drawn / drawn.norm()
    return unit


def distance(states: Tensor, wanted: Tensor) -> Tensor:
    """‖h − h'‖²/D of each token: [P, D] in, [P] out."""
    return (states - wanted).square().mean(dim=-1)


@dataclass(frozen=True, kw_only=True)
class RMUObjective:
    """Sends the states of what is to be forgotten to ``steering`` · u, and holds the others where they were."""

    layer: int = 7
    steering: float = 6.5
    retain_weight: float = 1200.0

    name: ClassVar[str] = "rmu"
    batch: ClassVar[BatchKind] = "labelled"
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("forget_distance", "retain_distance")

    def __post_init__(self) -> None:
        above_zero(self.name, steering=self.steering)
        at_least_zero(self.name, retain_weight=self.retain_weight)
        if self.layer < 0:
            raise InputError(f"layer {self.layer} is not allowed: rmu counts layers from 0.")

    @property
    def reads(self) -> tuple[Reading, ...]:
        """States after the layer."""
        return (States(layers=(self.layer,)),)

    @property
    def frozen(self) -> tuple[str, Reading]:
        """What examples carry of the model before training."""
        return FROZEN, States(layers=(self.layer,))

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Tokens of either kind."""
        return unlearning_totals(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of both terms."""
        states, before = at_least_fp32(scored.flat()[:, 0]), at_least_fp32(scored.given(FROZEN)[:, 0])
        lengths = scored.lengths()[:, 0].long()
        kept = (scored.fact(WANTED)[:, 0] > 0).repeat_interleave(lengths)
        away = self.steering * control_vector(states.shape[-1]).to(states)
        forget = share(distance(states[~kept], away), totals["forget_tokens"])
        retain = share(distance(states[kept], before[kept]), totals["retain_tokens"])
        return Loss(
            value=forget + self.retain_weight * retain,
            metrics={"forget_distance": forget.detach(), "retain_distance": retain.detach()},
        )
