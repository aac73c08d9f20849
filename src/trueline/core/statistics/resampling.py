"""Cluster-weight resampling: an interval for any statistic of weighted columns.

Each replicate gives every cluster one standard exponential weight (Rubin's Bayesian bootstrap, Annals of
Statistics 9, 1981) and evaluates the statistic under these weights. Why not multinomial counts: no weight is
ever 0, so a slice, a class or a denominator never vanishes from a replicate, and a statistic that is defined
on the data is defined on (almost) every replicate.

The interval is the bias-corrected percentile interval (Efron 1981) with levels Φ(2z₀ ± t·√((K + 1)/(K − 1))),
z₀ = Φ⁻¹(share of replicates below the value):
- t on K − 1 degrees of freedom instead of z, and the factor, because exponential weights give a mean the
  variance σ̂²/(K + 1) (σ̂² with divisor K), not s²/K.
- No jackknifed acceleration. Exponential weights have twice the skewness γ of the sample mean. By Cornish and
  Fisher the corrected ends lie at ±z + (γ/6√K)(2z² + 2); the studentised bootstrap's lie at ±z +
  (γ/6√K)(2z² + 1). So it is second-order right to within γ/6√K, at no evaluation more; BCa would need K more.
- A statistic that resampling itself moves by more than a quarter of a standard error (an ECE near 0, a norm)
  gets the hull of the percentile interval and its reflection, the latter shifted once more by √2 times the
  bias: for θ̂ ≈ √(θ² + b²) at θ = 0 the bias is b, of which replicates show only (√2 − 1)b.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from trueline.core.errors import InputError
from trueline.core.measure import ByRows, Statistic

from .arrays import Clusters, Codes, Floats, check_level, encode, t_quantile, t_two_sided_p

BIASED = 0.25  # |z₀| beyond which a statistic counts as biased under resampling
BLOCK = 1 << 20  # weights held at a time (8 MiB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """A statistic with its resampling interval.

    ``low``/``high`` are infinite where undefined replicates leave an end open, and both NaN where resampling
    shows no variation at all (the data cannot bound the value). ``undefined`` of ``replicates`` were NaN;
    each counts as −∞ for the low end and as +∞ for the high end. ``p`` tests the value 0 (two-sided).
    """

    value: float
    low: float
    high: float
    se: float
    p: float
    replicates: int
    undefined: int
    clusters: int
    biased: bool


def cluster_weights(codes: Codes, count: int, *, replicates: int, seed: int) -> Iterator[Floats]:
    """Blocks [r, n] of item weights, ``replicates`` rows in all; the size of a block changes nothing."""
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // max(len(codes), 1))
    own = len(codes) == count and bool(np.array_equal(codes, np.arange(count)))
    for start in range(0, replicates, rows):
        drawn = rng.standard_exponential((min(rows, replicates - start), count))
        drawn /= drawn.mean(axis=1, keepdims=True)
        yield drawn if own else drawn[:, codes]


def resample(
    statistic: Statistic,
    columns: Mapping[str, Floats],
    clusters: Clusters | None = None,
    *,
    seed: int = 0,
    replicates: int = 1000,
    level: float = 0.95,
) -> Resampled:
    """``statistic(columns, weights)`` at equal weights, with its interval over cluster weights.

    ``columns`` are named arrays [n]. The statistic must not depend on the scale of the weights and answers
    NaN where it is undefined. Raises InputError for columns of unequal length or fewer than two clusters.
    """
    n = _length(columns)
    codes, count = _codes(clusters, n, replicates, level)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 is how a statistic says NaN
        value = float(statistic(columns, np.ones(n)))
        draws = [
            _values(statistic, columns, block)
            for block in cluster_weights(codes, count, replicates=replicates, seed=seed)
        ]
    return summarise_replicates(value, np.concatenate(draws), count, level=level)


def resample_change(
    statistic: Statistic,
    before: Mapping[str, Floats],
    after: Mapping[str, Floats],
    clusters: Clusters | None = None,
    *,
    seed: int = 0,
    replicates: int = 1000,
    level: float = 0.95,
) -> Resampled:
    """statistic(after) − statistic(before) over the same items; a replicate weighs both arms the same."""
    n = _length(before)
    if _length(after) != n:
        raise InputError(f"{n} items before and {_length(after)} after; pair them item by item.")
    codes, count = _codes(clusters, n, replicates, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(statistic(after, np.ones(n))) - float(statistic(before, np.ones(n)))
        draws = [
            _values(statistic, after, block) - _values(statistic, before, block)
            for block in cluster_weights(codes, count, replicates=replicates, seed=seed)
        ]
    return summarise_replicates(value, np.concatenate(draws), count, level=level)


def summarise_replicates(value: float, draws: Floats, clusters: int, *, level: float = 0.95) -> Resampled:
    """The interval of this file's docstring from replicate values [R] (NaN where undefined)."""
    replicates = len(draws)
    defined = np.sort(draws[~np.isnan(draws)])
    undefined = replicates - len(defined)
    # A sum taken in another order moves a constant statistic by rounding: that is not variation.
    tolerance = 1e-12 * max(1.0, abs(value))
    nan = float("nan")
    if np.isnan(value) or not len(defined) or (not undefined and defined[-1] - defined[0] <= tolerance):
        p = 1.0 if len(defined) and abs(value) <= tolerance else nan
        return Resampled(
            value=value,
            low=nan,
            high=nan,
            se=0.0 if len(defined) and not np.isnan(value) else nan,
            p=p,
            replicates=replicates,
            undefined=undefined,
            clusters=clusters,
            biased=False,
        )
    stretch = float(np.sqrt((clusters + 1) / (clusters - 1)))
    reach = t_quantile(level, clusters - 1) * stretch
    shift = _score(defined, value)
    biased = abs(shift) > BIASED
    centre = 0.0 if biased else 2 * shift
    low = _quantile(defined, undefined, special.ndtr(centre - reach), open_end=-np.inf)
    high = _quantile(defined, undefined, special.ndtr(centre + reach), open_end=np.inf)
    position = _score(defined, 0.0) - centre
    if not undefined and (defined[0] > 0 or defined[-1] < 0):
        # No replicate reaches zero: R replicates alone cannot tell how far off it lies, their spread can.
        beyond = -value / float(defined.std())
        position = beyond if abs(beyond) > abs(position) and beyond * value < 0 else position
    if biased:
        extra = float(np.sqrt(2.0)) * (float(defined.mean()) - value)
        low, high = (
            min(low, 2 * value - high - max(extra, 0.0)),
            max(high, 2 * value - low - min(extra, 0.0)),
        )
        added = max(extra, 0.0) if position < 0 else min(extra, 0.0)
        mirrored = -_score(defined, 2 * value - added)
        position = min(position, mirrored, key=abs) if position * mirrored > 0 else 0.0
    return Resampled(
        value=value, low=low, high=high, se=float(defined.std()) * stretch,
        p=t_two_sided_p(position / stretch, clusters - 1),
        replicates=replicates, undefined=undefined, clusters=clusters, biased=biased,
    )  # fmt: skip


def _values(statistic: Statistic, columns: Mapping[str, Floats], block: Floats) -> Floats:
    """The statistic under each row of weights, shape [r]."""
    if isinstance(statistic, ByRows):
        return statistic.rows(columns, block)
    return np.array([statistic(columns, row) for row in block], dtype=np.float64)


def _length(columns: Mapping[str, Floats]) -> int:
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise InputError(f"columns have lengths {sorted(lengths)}; pass named columns of one length.")
    return lengths.pop()


def _codes(clusters: Clusters | None, n: int, replicates: int, level: float) -> tuple[Codes, int]:
    check_level(level)
    if replicates < 100:
        raise InputError(f"{replicates} replicates give no interval; ask for at least 100 (1000 is usual).")
    codes, count = encode(clusters, n)
    if count < 2:
        raise InputError(f"resampling needs at least two clusters, not {count}.")
    return codes, count


def _score(ordered: Floats, point: float) -> float:
    """Φ⁻¹ of the share of sorted replicates below a point, ties by half, kept off 0 and 1 by 1/(R + 1)."""
    slack = 1e-12 * max(1.0, abs(point))
    below = np.searchsorted(ordered, point - slack, side="left")
    upto = np.searchsorted(ordered, point + slack, side="right")
    share = (below + upto) / (2 * len(ordered))
    edge = 1.0 / (len(ordered) + 1)
    return float(special.ndtri(min(max(share, edge), 1 - edge)))


def _quantile(ordered: Floats, undefined: int, level: float, *, open_end: float) -> float:
    """A quantile (linear interpolation) with the undefined replicates placed at ``open_end``."""
    total = len(ordered) + undefined
    place = float(level) * (total - 1) - (undefined if open_end < 0 else 0)
    if place < 0 and undefined and open_end < 0:
        return open_end
    if place > len(ordered) - 1 and undefined and open_end > 0:
        return open_end
    place = min(max(place, 0.0), len(ordered) - 1.0)
    left = int(place)
    right = min(left + 1, len(ordered) - 1)
    return float(ordered[left] + (place - left) * (ordered[right] - ordered[left]))
