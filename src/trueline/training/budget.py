"""A compute budget: training goes on until it is spent, so that methods can be compared at equal cost.

One of three currencies: FLOPs by the formula of flops.py, tokens read by the trained network, or seconds. What was
spent before the first step (a reference's or teacher's pass, a reward model's training) counts. FLOPs and tokens are
the same on every machine, so a resumed run stays on its trajectory; seconds are not, and do not promise it.

Example: of 300 GFLOPs a reward model's training takes 80, so the policy that learns from it has 220.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trueline.core.errors import InputError

Currency = Literal["flops", "tokens", "seconds"]
CURRENCIES: tuple[Currency, ...] = ("flops", "tokens", "seconds")
_FIRST_GUESS = 100  # steps, where nothing is known of their seconds yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What some work took: tokens read for gradients, FLOPs (flops.py), seconds."""

    tokens: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            tokens=self.tokens + other.tokens,
            flops=self.flops + other.flops,
            seconds=self.seconds + other.seconds,
        )

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Spent":
        """What a manifest's or a provenance's ``training`` tells."""
        return cls(**{name: float(told.get(name, 0.0)) for name in CURRENCIES})

    def of_currency(self, currency: Currency) -> float:
        """The amount in one currency."""
        return float(getattr(self, currency))


NOTHING = Spent()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeBudget:
    """At most ``amount`` of ``currency``. Raises InputError for an unknown currency or an amount of 0 or less."""

    currency: Currency
    amount: float

    def __post_init__(self) -> None:
        if self.currency not in CURRENCIES:
            raise InputError(f"budget in {self.currency!r} is not known: give {', '.join(CURRENCIES)}.")
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise InputError(f"a budget of {self.amount} {self.currency} is not allowed: give more than 0.")

    def steps(self, *, done: int, spent: float, costs: Mapping[str, float], coming: float | None) -> int:
        """How many steps the run will have in all, as far as is known now; ``done`` where the next is too much.

        ``spent`` was spent before the run, ``costs`` in its ``done`` steps, ``coming`` is what the next one takes
        (None where only time will tell).
        """
        before = costs[self.currency]
        left = self.amount - spent - before
        if coming is None:
            mean = before / done if done else (left / _FIRST_GUESS if left > 0 else math.inf)
            coming = mean
        else:
            mean = (before + coming) / (done + 1)
        if coming > left:
            return done
        return done + max(1, math.floor(left / mean))


def budget_of(given: Mapping[str, float]) -> ComputeBudget:
    """A budget as users write it: one currency with its amount, such as {"flops": 2e12}."""
    if not isinstance(given, Mapping) or len(given) != 1:
        raise InputError(f"the budget {given!r} is not one currency with its amount, such as flops: 2.0e12.")
    ((currency, amount),) = given.items()
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise InputError(f"the budget's amount {amount!r} is no number.")
    return ComputeBudget(currency=currency, amount=float(amount))  # type: ignore[arg-type]
