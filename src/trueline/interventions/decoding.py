"""Next-token distributions of several models as one: DExperts and SafeDecoding.

Each is a pure function of log-probabilities, the base's first. Where it leaves the base alone after some tokens
(its ``horizon``) the other models are not asked.

Shapes: P positions, V vocabulary. Units: nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Combination(Protocol):
    """How several models' next-token log-probabilities [P, V] become one's, [P, V]."""

    @property
    def horizon(self) -> int | None:
        """For how many first tokens of an answer; None: all."""

    def __call__(self, logps: Sequence[Tensor]) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DExpertsCombination:
    """Base, expert and anti-expert (Liu et al. 2021, arXiv 2105.03023, equation 2)."""

    alpha: float = 2.0

    @property
    def horizon(self) -> int | None:
        """All tokens."""
        return None

    def __call__(self, logps: Sequence[Tensor]) -> Tensor:
        """The combined log-probabilities."""
        base, expert, anti_expert = logps
        return dexperts(base, expert, anti_expert, alpha=self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeDecodingCombination:
    """Base and expert (Xu et al. 2024, arXiv 2402.08983, section 4), over the first ``tokens``."""

    alpha: float = 3.0
    tokens: int = 2
    candidates: int = 5

    @property
    def horizon(self) -> int | None:
        """The first tokens alone."""
        return self.tokens

    def __call__(self, logps: Sequence[Tensor]) -> Tensor:
        """The combined log-probabilities."""
        base, expert = logps
        return safe_decoding(base, expert, alpha=self.alpha, candidates=self.candidates)


def dexperts(base: Tensor, expert: Tensor, anti_expert: Tensor, *, alpha: float) -> Tensor:
    """log softmax(z + α(z⁺ − z⁻)): [P, V]. A constant added to any row of logits changes nothing."""
    return torch.log_softmax(base + alpha * (expert - anti_expert), dim=-1)


def safe_decoding(base: Tensor, expert: Tensor, *, alpha: float, candidates: int) -> Tensor:
    """log of p + α(p⁺ − p) over the shared candidates, normalised: [P, V], −∞ elsewhere.

    The shared candidates are the tokens that both models rank among their first k, for the least k that gives at
    least ``candidates`` of them (equation 3). Negative values become 0; where none is left above it, the expert's own
    probabilities of the candidates are taken.
    """
    # a token is among both models' first k exactly when its worse rank is below k
    worse = torch.maximum(_ranks(base), _ranks(expert))
    limit = worse.sort(dim=-1).values[:, min(candidates, base.shape[-1]) - 1]
    shared = worse <= limit[:, None]
    p, q = base.exp(), expert.exp()
    mixed = torch.where(shared, p + alpha * (q - p), 0.0).clamp(min=0)
    empty = mixed.sum(dim=-1, keepdim=True) == 0
    mixed = torch.where(empty & shared, q, mixed)
    return (mixed / mixed.sum(dim=-1, keepdim=True)).log()


def _ranks(logps: Tensor) -> Tensor:
    """The place of each token when sorted by probability, 0 the likeliest; of equals the first: [P, V]."""
    order = logps.argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(logps.shape[-1], device=logps.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)
