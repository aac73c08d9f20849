"""Elastic weight consolidation: hold weights where safety is sensitive to them (Kirkpatrick et al. 2016, arXiv
1612.00796, equation 3).

loss = L(θ) + (λ/2) Σ_i F_i (θ_i − θ*_i)²,  F_i = mean over examples of (∂ log p(y|x; θ*) / ∂θ_i)²

θ* are the weights before the fine-tune; F is the diagonal of the *empirical* Fisher information, at the safe
answers given. Where a model is sure of them its gradients, and so F, are small: λ is then large, and there is
no default that fits all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from trueline.core.errors import InputError
from trueline.training.dials import at_least_zero

from .batches import BatchKind, Example, Scored
from .objectives.base import Loss, Objective, Scorer, Totals
from .objectives.sft import SFTObjective
from .readings import LOGPS, Place, Reading, Seen
from .scoring import outputs_of


def quadratic_penalty(
    weights: Mapping[str, Tensor], anchor: Mapping[str, Tensor], fisher: Mapping[str, Tensor]
) -> Tensor:
    """½ Σ F (θ − θ*)² over all weights: a scalar with gradients to ``weights``."""
    return 0.5 * torch.stack([(fisher[n] * (weights[n] - anchor[n]).square()).sum() for n in anchor]).sum()


def diagonal_fisher(
    model: nn.Module, examples: Sequence[Example], progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information at the examples' answers, by parameter name.

    One gradient of the summed log-probability an example: squares of a batch's gradient would not be it.
    """
    if not examples:
        raise InputError("the Fisher information needs examples: give some safe answers.")
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    training = model.training
    model.eval()
    for number, example in enumerate(examples, 1):
        read = outputs_of(model, [example.tree], (LOGPS,), token_budget=max(1, example.tokens))[LOGPS.name]
        likelihood = torch.cat([branch for branches in read for branch in branches]).sum()
        gradients = torch.autograd.grad(likelihood, list(named.values()), allow_unused=True)
        for sums, gradient in zip(total.values(), gradients):
            if gradient is not None:
                sums += gradient.square()
        if progress is not None:
            progress(number, len(examples), "Fisher information")
    model.train(training)
    return {name: sums / len(examples) for name, sums in total.items()}


class Anchored:
    """A reading of the weights themselves: ½ Σ F (θ − θ*)² at every position.

    Each position reads the same number, so that its mean over a step's tokens is that number, however the step
    is split into passes or over processes.
    """

    name: ClassVar[str] = "anchored"
    place: ClassVar[Place] = "predicting"
    layers: ClassVar[tuple[int, ...]] = ()

    def __init__(self, anchor: Mapping[str, Tensor], fisher: Mapping[str, Tensor], key: str) -> None:
        assert anchor.keys() == fisher.keys(), "both come from one model"
        self.anchor, self.fisher, self._key = dict(anchor), dict(fisher), key

    def __deepcopy__(self, memo: object) -> "Anchored":
        return self  # a constant; settings are copied when they are fingerprinted

    def fingerprint(self) -> str:
        """What θ* and F were computed from: model and examples. Their last bits depend on the machine."""
        return self._key

    def check(self, model: nn.Module) -> None:
        """The model must have the anchored weights, and train them."""
        named = dict(model.named_parameters())
        odd = [n for n, value in self.anchor.items() if n not in named or named[n].shape != value.shape]
        if odd:
            raise InputError(
                f"the model has no weight {odd[0]!r} to be held: elastic weight consolidation holds the weights of "
                "the model itself, so train all of it, without adapters."
            )

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Tensor:
        """The penalty, [P] times the same."""
        named = dict(model.named_parameters())
        if any(isinstance(named[name], DTensor) for name in self.anchor):
            raise InputError(
                "elastic weight consolidation reads all weights in every pass, and a sharded model does not hold them "
                "at once; leave sharded out."
            )
        for kept in (self.anchor, self.fisher):
            for name in kept:
                kept[name] = kept[name].to(named[name])
        penalty = quadratic_penalty(named, self.anchor, self.fisher)
        return penalty.expand(len(seen.targets))


@dataclass(frozen=True, kw_only=True)
class EWCObjective:
    """Any objective with the penalty added; ``strength`` is λ ≥ 0."""

    held: Any = field(repr=False)  # an Anchored, which has a fingerprint but no fields
    strength: float
    inner: Objective = field(default_factory=SFTObjective)

    def __post_init__(self) -> None:
        at_least_zero("ewc", strength=self.strength)

    @property
    def name(self) -> str:
        """The inner objective's, held."""
        return f"ewc_{self.inner.name}"

    @property
    def batch(self) -> BatchKind:
        """The inner objective's."""
        return self.inner.batch

    @property
    def reads(self) -> tuple[Reading, ...]:
        """The inner objective's, and the weights."""
        return (*self.inner.reads, self.held)

    @property
    def reference(self) -> bool:
        """The inner objective's."""
        return self.inner.reference

    @property
    def dropout(self) -> bool:
        """The inner objective's."""
        return self.inner.dropout

    @property
    def metrics(self) -> tuple[str, ...]:
        """The inner objective's, and the penalty λ/2 Σ F (θ − θ*)²."""
        return (*self.inner.metrics, "penalty")

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """The inner objective's, and the tokens over which the penalty is spread."""
        tokens = float(sum(example.answer_tokens for example in examples))
        return {**self.inner.totals(examples, score), "positions": tokens}

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of both."""
        loss = self.inner.loss(scored, totals)
        penalty = self.strength * scored.flat(self.held.name).sum() / totals["positions"]
        return Loss(value=loss.value + penalty, metrics={**loss.metrics, "penalty": penalty.detach()})
