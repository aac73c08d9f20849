"""Generalised preference optimisation (Tang et al. 2024, arXiv 2402.05749): the offline family.

loss = f(β(Δ⁺ − Δ⁻)) for a convex f that falls at 0,  Δ = log π(y|x) − log π₀(y|x). What f punishes decides
how hard the policy is held near its reference π₀ at a given β:

    f(x)                   name                  method
    log(1 + e^−x)          logistic              DPO; mixed with f(−x): cDPO, robust DPO
    (x − 1)²               squared               IPO, which divides by β² and calls β/2 its τ
    max(0, 1 − x)          hinge                 RSO's hinge-norm
    e^−x                   exponential
    max(0, 1 − x)²         truncated_quadratic

A ``reduction`` of "sum" adds an answer's log-probabilities up, as the paper's equation does; "mean" divides
by its tokens, so that β means the same for short and long answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from trueline.training.batches import Scored
from trueline.training.dials import above_zero, one_of

from .base import Totals
from .pairs import REDUCTIONS, PairObjective, Reduction, log_ratios

Convex = Callable[[Tensor], Tensor]
ConvexName = Literal["logistic", "squared", "hinge", "exponential", "truncated_quadratic"]


def logistic(x: Tensor) -> Tensor:
    """log(1 + e^−x) = −log σ(x)."""
    return softplus(-x)


def squared(x: Tensor) -> Tensor:
    """(x − 1)²."""
    return (x - 1).square()


def hinge(x: Tensor) -> Tensor:
    """max(0, 1 − x)."""
    return (1 - x).clamp(min=0)


def exponential(x: Tensor) -> Tensor:
    """e^−x."""
    return (-x).exp()


def truncated_quadratic(x: Tensor) -> Tensor:
    """max(0, 1 − x)²."""
    return hinge(x).square()


CONVEX: Mapping[ConvexName, Convex] = {
    "logistic": logistic,
    "squared": squared,
    "hinge": hinge,
    "exponential": exponential,
    "truncated_quadratic": truncated_quadratic,
}


def gpo_loss(margins: Tensor, *, beta: float, convex: Convex) -> Tensor:
    """f(β(Δ⁺ − Δ⁻)) for each pair: margins Δ⁺ − Δ⁻ [E] in, losses [E] out."""
    return convex(beta * margins)


@dataclass(frozen=True, kw_only=True)
class FamilyObjective(PairObjective):
    """A member of the family; its rewards are βΔ. ``beta`` > 0 holds the policy near its reference."""

    beta: float = 0.1

    reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        above_zero(self.name, beta=self.beta)

    @property
    def over(self) -> Reduction:
        """How an answer's log-probabilities are reduced."""
        return "sum"

    def losses(self, margins: Tensor) -> Tensor:
        """Losses [E] of margins Δ⁺ − Δ⁻ [E]."""
        raise NotImplementedError

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and the rewards βΔ."""
        ratios = log_ratios(scored, self.over)
        return self.losses(ratios[:, 0] - ratios[:, 1]), self.beta * ratios


@dataclass(frozen=True, kw_only=True)
class GPOObjective(FamilyObjective):
    """The family itself, by the name of its function."""

    function: ConvexName = "logistic"
    reduction: Reduction = "sum"

    name: ClassVar[str] = "gpo"

    def __post_init__(self) -> None:
        FamilyObjective.__post_init__(self)
        one_of("gpo", tuple(CONVEX), function=self.function)
        one_of("gpo", REDUCTIONS, reduction=self.reduction)

    @property
    def over(self) -> Reduction:
        """As chosen."""
        return self.reduction

    def losses(self, margins: Tensor) -> Tensor:
        """f(β(Δ⁺ − Δ⁻))."""
        return gpo_loss(margins, beta=self.beta, convex=CONVEX[self.function])
