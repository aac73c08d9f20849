"""Looking at every item as it comes: a betting confidence sequence for a finite set of items.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (arXiv 2010.09686;
JRSS B 2024), section 5 (sampling without replacement) with the hedged capital process and predictable plug-in
bets. All its intervals hold *together* with the stated confidence, so one may stop when one likes: items must
come in random order, and fixed-n p-values do not belong beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

from .arrays import Clusters, Floats, check_level, cluster_sums, encode, floats

CAUTION = 0.5  # the most of its capital that a bet may lose, the paper's truncation c


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """``low`` and ``high`` [T] after each draw; the last pair is the interval of now.

    They never widen, unless what was seen makes certain a mean that the bets had rejected.
    """

    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What to bet on: one value a draw, how many draws there are in all, and the values' bounds."""

    values: Floats
    population: int
    bounds: tuple[float, float]


def betting_sequence(
    values: ArrayLike,
    population: int,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    grid: int = 1001,
) -> ConfidenceSequence:
    """Confidence sequence for the mean of ``population`` values, of which [T] were drawn in random order.

    Rescaled to [0, 1], if the mean is m, the next draw has mean m_t = (N·m − Σ_{i<t} x_i)/(N − t + 1). Two
    capitals K±_t = Π(1 ± λ_t±(x_t − m_t)) bet against it, λ_t = √(2 log(2/α)/(σ̂²_{t−1}·t·log(t + 1))), kept
    below c/m_t and c/(1 − m_t); m is rejected once max(K⁺, K⁻)/2 ≥ 1/α, or where m_t leaves [0, 1]. Rates are
    tried on a grid, and each end lies one step outside those that survive. After all N draws only the mean
    itself is left.
    """
    check_level(level)
    drawn = floats(values, what="values")
    lowest, highest = bounds
    if not (np.isfinite(bounds).all() and lowest < highest):
        raise InputError(f"bounds {bounds!r} must be finite and in order; betting needs a bounded value.")
    if len(drawn) and not (lowest <= drawn.min() and drawn.max() <= highest):
        raise InputError(f"a value lies outside its bounds {bounds!r}.")
    if len(drawn) > population:
        raise InputError(f"{len(drawn)} draws from {population} items; draws are without replacement.")
    x = (drawn - lowest) / (highest - lowest)
    alpha = 1 - level
    means = np.linspace(0.0, 1.0, grid)
    step = 1.0 / (grid - 1)
    alive = np.ones(grid, dtype=np.bool_)
    up, down = np.zeros(grid), np.zeros(grid)  # log capitals
    lows, highs = np.empty(len(x)), np.empty(len(x))
    total, squares, low, high = 0.0, 0.25, 0.0, 1.0
    for t, value in enumerate(x, start=1):
        expected = (population * means - total) / (population - t + 1)
        possible = np.clip(expected, 1e-12, 1 - 1e-12)
        bet = np.sqrt(2 * np.log(2 / alpha) / (squares / t * t * np.log(t + 1)))
        up += np.log1p(np.minimum(bet, CAUTION / possible) * (value - possible))
        down += np.log1p(-np.minimum(bet, CAUTION / (1 - possible)) * (value - possible))
        alive &= np.maximum(up, down) < np.log(2 / alpha)
        total += value
        squares += (value - (0.5 + total) / (t + 1)) ** 2
        # What was seen bounds the mean whatever is still to come.
        least, most = total / population, (total + population - t) / population
        alive &= (means >= least - step) & (means <= most + step)
        left = np.flatnonzero(alive)
        if len(left):
            low, high = max(low, means[left[0]] - step), min(high, means[left[-1]] + step)
        low, high = min(max(low, least), most), max(min(high, most), least)
        lows[t - 1], highs[t - 1] = low, high
    width = highest - lowest
    return ConfidenceSequence(low=lowest + width * lows, high=lowest + width * highs)


def change_sequence(
    before: ArrayLike,
    after: ArrayLike,
    clusters: Clusters,
    *,
    items: int,
    population: int,
    largest: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    grid: int = 1001,
) -> ConfidenceSequence:
    """Confidence sequence for the mean paired change of a whole set, one pair of ends a cluster drawn.

    ``before`` and ``after`` [n] are the values of the items drawn so far, in the order of their randomly ordered
    ``clusters``; the set is as in :func:`cluster_draws`. A missing value (NaN) may be anything in the metric's
    ``bounds``: the lower ends are those of the sequence with every missing change at its least, the upper ends
    those with it at its greatest, so the sequence holds whatever the missing verdicts would have been.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    width = bounds[1] - bounds[0]
    lost = np.isnan(first) | np.isnan(second)
    return bounded_sequence(
        np.where(lost, -width, second - first),
        np.where(lost, width, second - first),
        clusters,
        items=items,
        population=population,
        largest=largest,
        bounds=(-width, width),
        level=level,
        grid=grid,
    )


def bounded_sequence(
    least: ArrayLike,
    most: ArrayLike,
    clusters: Clusters,
    *,
    items: int,
    population: int,
    largest: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    grid: int = 1001,
) -> ConfidenceSequence:
    """Confidence sequence for the mean of a whole set whose drawn values [n] are only known to lie between ``least``
    and ``most`` (equal where a value is known): the lower ends of the one and the upper ends of the other. The set is
    as in :func:`cluster_draws`."""
    ends = []
    for values in (least, most)[: 1 if np.array_equal(least, most) else 2]:
        draws = cluster_draws(
            values, clusters, items=items, population=population, largest=largest, bounds=bounds
        )
        found = betting_sequence(draws.values, draws.population, bounds=draws.bounds, level=level, grid=grid)
        ends.append(found)
    return ConfidenceSequence(low=ends[0].low, high=ends[-1].high)


def cluster_draws(
    values: ArrayLike,
    clusters: Clusters,
    *,
    items: int,
    population: int,
    largest: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Draws:
    """Whole clusters as draws: x_c = (K/N)·Σ_{i∈c} s_i; its mean over K clusters is the mean over N items.

    ``values`` and ``clusters`` [n] are the items of the clusters drawn so far, in order; ``items`` = N and
    ``population`` = K are those of the whole set, ``largest`` the size of its largest cluster, which bounds
    x_c.
    """
    scores = floats(values, what="values")
    codes, count = encode(clusters, len(scores))
    sizes = np.bincount(codes, minlength=count)
    if count > population or len(scores) > items or (count and int(sizes.max()) > largest):
        raise InputError(
            f"{count} clusters of up to {int(sizes.max())} items do not fit a set of {population} clusters, "
            f"{items} items and at most {largest} items a cluster."
        )
    scale = population / items
    low, high = min(0.0, bounds[0] * largest * scale), max(0.0, bounds[1] * largest * scale)
    return Draws(values=cluster_sums(scores, codes, count) * scale, population=population, bounds=(low, high))
