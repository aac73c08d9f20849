"""Two targets on the same items: paired differences, exact McNemar, bounds for missing verdicts."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from trueline.core.errors import InputError

from .arrays import Clusters, Floats, check_level, floats, normal_quantile, t_quantile
from .clustered import MeanEstimate, clustered_mean
from .proportions import Interval

# Below so many discordant pairs, mean ± t·sd/√n covers as little as 45 % (n = 30, rates 2 % and 0); with the
# score interval there, coverage is at least 94 % (benchmarks/coverage.py).
FEW_DISCORDANT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least and the greatest value that some missing verdicts allow."""

    low: float
    high: float


def paired_change(
    before: ArrayLike, after: ArrayLike, clusters: Clusters | None = None, level: float = 0.95
) -> MeanEstimate:
    """Mean of d = after − before, SE = sd(d)/√n on n − 1 degrees of freedom.

    With ``clusters``, SE = √(Σ_c(Σ_i(d_ic − d̄))²)/n on clusters − 1. ``before`` and ``after`` [n] belong to
    the same items in the same order. Raises InputError for unequal lengths or fewer than two items or
    clusters.
    """
    first, second = floats(before, what="values before"), floats(after, what="values after")
    if len(first) != len(second):
        raise InputError(f"{len(first)} values before and {len(second)} after; pair them item by item.")
    change = second - first
    if clusters is not None:
        return clustered_mean(change, clusters, level)
    n = len(change)
    if n < 2:
        raise InputError(f"a paired change needs at least two items, not {n}.")
    check_level(level)
    mean, se = float(change.mean()), float(change.std(ddof=1)) / float(np.sqrt(n))
    half = t_quantile(level, n - 1) * se
    return MeanEstimate(value=mean, se=se, low=mean - half, high=mean + half, df=n - 1, n=n, clusters=n)


def mcnemar_exact(gained: float, lost: float) -> float:
    """McNemar's exact two-sided p from the discordant pairs (0 → 1 and 1 → 0), min(1, 2·P(X ≤ min)).

    X ~ Binomial(gained + lost, ½). Fractions (counts over a design effect) go through the incomplete beta
    function, of which the binomial sum is the integer case.
    """
    if gained < 0 or lost < 0:
        raise InputError(f"discordant counts {gained!r} and {lost!r} must not be negative.")
    total = gained + lost
    least = min(gained, lost)
    if total == 0 or gained == lost:
        return 1.0
    # P(X ≤ k) = I_{1/2}(n − k, k + 1)
    return float(min(1.0, 2.0 * special.betainc(total - least, least + 1, 0.5)))


def paired_score_interval(gained: float, lost: float, n: float, level: float = 0.95) -> Interval:
    """Tango's score interval for a difference of paired proportions (Statistics in Medicine 17, 1998).

    All δ with |gained − lost − nδ| ≤ z·√(n(2q̂ + δ(1 − δ))), where q̂, the share of 1 → 0 pairs under δ, is
    the larger root of 2n·q² + (−gained − lost + (2n − gained + lost)δ)·q − lost·δ(1 − δ) = 0. No discordant
    pair in 100 gives ±3.7 %, not 0. Counts may be fractions.
    """
    check_level(level)
    if gained < 0 or lost < 0 or not n > 0 or gained + lost > n * (1 + 1e-12):
        raise InputError(f"{gained!r} + {lost!r} discordant pairs of {n!r} are impossible.")
    z = normal_quantile(level)
    estimate = (gained - lost) / n

    def statistic(delta: float) -> float:
        linear = -gained - lost + (2 * n - gained + lost) * delta
        constant = -lost * delta * (1 - delta)
        root = max(linear * linear - 8 * n * constant, 0.0) ** 0.5
        variance = n * (2 * (root - linear) / (4 * n) + delta * (1 - delta))
        difference = gained - lost - n * delta
        return difference / float(variance**0.5) if variance > 0 else math.copysign(math.inf, difference)

    def solve(target: float, low: float, high: float) -> float:
        for _ in range(45):  # the statistic falls in delta: bisection to 2⁻⁴⁵
            middle = (low + high) / 2
            if statistic(middle) > target:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    return Interval(low=solve(z, -1.0, estimate), high=solve(-z, estimate, 1.0), name="paired score (Tango)")


def paired_bounds(before: ArrayLike, after: ArrayLike, bounds: tuple[float, float]) -> Bounds:
    """The range of the mean change over *all* items, when verdicts are missing (NaN) in either arm.

    Each missing value may be anything in the metric's ``bounds`` = (lo, hi): a change is least with ``after``
    at lo and ``before`` at hi, greatest the other way round.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise InputError(f"values of shapes {first.shape} and {second.shape}; pair them item by item.")
    low, high = bounds
    return Bounds(
        low=float(np.mean(_filled(second, low) - _filled(first, high))),
        high=float(np.mean(_filled(second, high) - _filled(first, low))),
    )


def _filled(values: Floats, filling: float) -> Floats:
    return np.where(np.isnan(values), filling, values)
