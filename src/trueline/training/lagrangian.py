"""Reward under a limit on expected cost: Safe RLHF's Lagrangian (Dai et al. 2023, arXiv 2310.12773, section 3.3).

    max_θ min_{λ≥0}  E[r] − λ (E[c] − d)

The policy learns from (r − λ c) / (1 + λ), so the scale of what it learns from stays as λ grows; after each rollout

    ln λ ← ln λ + α λ (mean cost − d)

This step is proportional to λ: once λ is near zero it hardly rises again, however high the cost. Hence the floor, and
reward, cost and λ stand in every line of the history. The paper has a critic for reward and one for cost; here any
estimator of advantages sees the combined reward, which is the same for all that are linear in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trueline.core.errors import InputError
from trueline.core.protocols import RewardModel

COST, MULTIPLIER = "cost", "lambda"


def combined(rewards: Sequence[float], costs: Sequence[float], multiplier: float) -> tuple[float, ...]:
    """(r − λ c) / (1 + λ) of each answer."""
    return tuple((r - multiplier * c) / (1 + multiplier) for r, c in zip(rewards, costs))


def next_multiplier(
    multiplier: float, cost: float, *, limit: float, rate: float, floor: float, ceiling: float
) -> float:
    """λ exp(α λ (cost − d)), kept within [floor, ceiling]."""
    # the exponent is bounded so that a wild cost gives the ceiling and not an overflow
    step = max(-50.0, min(50.0, rate * multiplier * (cost - limit)))
    return max(floor, min(ceiling, multiplier * math.exp(step)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lagrangian:
    """A cost with its ``limit`` d and the dials of λ: where it starts, its rate α, its floor and ceiling."""

    cost: RewardModel
    limit: float
    initial: float = 1.0
    rate: float = 0.1
    floor: float = 0.05
    ceiling: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.floor <= self.initial <= self.ceiling:
            raise InputError(
                f"the multiplier starts at {self.initial} but is kept within [{self.floor}, {self.ceiling}]: "
                "give a floor above 0 and a start between floor and ceiling."
            )
        if not self.rate > 0:
            raise InputError(f"multiplier rate {self.rate} is not allowed: give a number above 0.")

    def multiplier(self, history: Sequence[Mapping[str, float]]) -> float:
        """λ for the next rollout: a function of the last one's, so that a resumed run needs no other memory."""
        if not history:
            return self.initial
        last = history[-1]
        return next_multiplier(
            last[MULTIPLIER],
            last[COST],
            limit=self.limit,
            rate=self.rate,
            floor=self.floor,
            ceiling=self.ceiling,
        )

    def settings(self) -> dict[str, object]:
        """What identifies it."""
        dials = ("limit", "initial", "rate", "floor", "ceiling")
        return {COST: self.cost.fingerprint(), **{name: getattr(self, name) for name in dials}}
