"""Intervals for a proportion: Wilson's, and Clopper and Pearson's exact one for rare events.

Both accept fractions, so that an *effective* n (n divided by the design effect) can be passed together with
rate × effective n as the successes.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from trueline.core.errors import InputError

from .arrays import check_level, normal_quantile

# Below so many successes or failures Wilson's lower end is too high: at n = 100 and a rate of 1 % it covers
# 92.1 %, at worst 84 %. With the exact interval there, coverage over rates .01 to .5 and n 20 to 1000 is
# at least 93.3 % (tests/core/statistics/test_proportions.py computes it exactly).
FEW = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two ends and the name of the method that made them."""

    low: float
    high: float
    name: str


def _check(successes: float, n: float, level: float) -> None:
    check_level(level)
    if not n > 0:
        raise InputError(f"a proportion needs n > 0, not {n!r}.")
    if not 0 <= successes <= n:
        raise InputError(f"{successes!r} successes of {n!r} are impossible; successes lie between 0 and n.")


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's score interval (1927): all p with |p̂ − p| ≤ z·√(p(1 − p)/n).

    Ends: (p̂ + z²/2n ± z·√(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n).
    """
    _check(successes, n, level)
    rate = successes / n
    z = normal_quantile(level)
    shrink = 1.0 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / shrink
    # At 0 and n the end is exact in real arithmetic and off by rounding in floats.
    low = 0.0 if successes == 0 else max(0.0, float(centre - half))
    high = 1.0 if successes == n else min(1.0, float(centre + half))
    return Interval(low=low, high=high, name="Wilson")


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Clopper and Pearson's exact interval (1934), by quantiles of the beta distribution.

    Low = B(α/2; x, n − x + 1), high = B(1 − α/2; x + 1, n − x); 0 of 100 gives [0, 3.62 %].
    """
    _check(successes, n, level)
    tail = (1.0 - level) / 2
    low = float(special.betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(special.betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(low=low, high=high, name="Clopper–Pearson")


def proportion_interval(successes: float, n: float, *, rare: bool = False, level: float = 0.95) -> Interval:
    """Wilson's interval; the exact one if ``rare`` or with fewer than five successes or failures."""
    few = min(successes, n - successes) < FEW
    return clopper_pearson(successes, n, level) if rare or few else wilson(successes, n, level)


def degenerate_interval(
    value: float, n: float, *, bounds: tuple[float, float], level: float = 0.95
) -> Interval:
    """For a mean whose n observations all equal ``value``: never [v, v].

    If a share q of the population differs from v, then q ≤ u, the upper Clopper–Pearson end of 0 of n, and
    the mean moves by at most u times the way to either bound. Infinite bounds leave infinite ends.
    """
    low, high = bounds
    if not low <= value <= high:
        raise InputError(f"value {value!r} lies outside its bounds [{low}, {high}].")
    share = clopper_pearson(0, n, level).high
    return Interval(
        low=value - share * (value - low),
        high=value + share * (high - value),
        name="all equal (Clopper–Pearson)",
    )
