"""Odds-ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691): SFT with a pairwise odds term.

loss = −a⁺ − λ log σ(log odds⁺ − log odds⁻),  odds = p/(1 − p), p = e^a, a = ℓ/|y| the mean log-probability.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.batches import Scored
from trueline.training.dials import above_zero

from .base import Totals
from .gpo import logistic
from .pairs import PairObjective


def log1mexp(x: Tensor) -> Tensor:
    """log(1 − e^x) for x < 0, exact near 0 and far from it; x is taken as at most −eps, so that it is finite."""
    x = x.clamp(max=-torch.finfo(x.dtype).eps)
    near = x > -math.log(2)
    # each branch sees only arguments that it can take, or the other's NaN would enter the gradient
    close = torch.log(-torch.expm1(torch.where(near, x, torch.full_like(x, -0.5))))
    far = torch.log1p(-torch.exp(torch.where(near, torch.full_like(x, -1.0), x)))
    return torch.where(near, close, far)


def log_odds(mean_logps: Tensor) -> Tensor:
    """log(p/(1 − p)) of p = e^a."""
    return mean_logps - log1mexp(mean_logps)


def orpo_loss(chosen: Tensor, rejected: Tensor, *, weight: float) -> Tensor:
    """−a⁺ − λ log σ(log odds⁺ − log odds⁻) for each pair: mean log-probabilities a [E] in, losses [E] out."""
    return weight * logistic(log_odds(chosen) - log_odds(rejected)) - chosen


@dataclass(frozen=True, kw_only=True)
class ORPOObjective(PairObjective):
    """ORPO; ``weight`` is λ; its rewards are the log odds."""

    weight: float = 0.1

    name: ClassVar[str] = "orpo"

    def __post_init__(self) -> None:
        above_zero(self.name, weight=self.weight)

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and the log odds."""
        means = scored.sums() / scored.lengths()
        return orpo_loss(means[:, 0], means[:, 1], weight=self.weight), log_odds(means)
