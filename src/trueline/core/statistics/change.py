"""The paired change of a metric between two targets on the same items."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.verdicts import Estimate, Verdict

from .arrays import Codes, Floats, encode, t_two_sided_p
from .clustered import safe_clustered_mean, safe_effective_n
from .estimate import (
    NO_INTERVAL,
    NO_VARIATION,
    ONE_CLUSTER,
    ROUNDING,
    Sample,
    clipped,
    finite,
    gather,
    is_statistic,
    refill,
    resampling_note,
    statistic_ends,
)
from .paired import FEW_DISCORDANT, mcnemar_exact, paired_bounds, paired_change, paired_score_interval
from .proportions import Interval, degenerate_interval
from .resampling import resample_change


def change(
    metric: Metric,
    before: Sequence[Verdict],
    after: Sequence[Verdict],
    *,
    seed: int = 0,
    replicates: int = 1000,
) -> Estimate:
    """after − before, paired by item, with its 95 % interval and a two-sided p of no change.

    Items need a verdict with values in both arms to enter value and interval; ``missing`` counts the others
    and the bounds let them come out in any way, in both arms. Means and proportions: mean ± t·SE of the item
    differences (the clustered t of clustered.py where items are); with fewer than ten (effective) discordant
    pairs of binary verdicts Tango's score interval. p: exact McNemar for binary verdicts (on effective counts
    where clustered pairs are few), else the t test; for statistics the inverted resampling interval. Raises
    InputError when the arms cover different items.
    """
    first, second = pair(metric, before, after)
    samples = gather(metric, first), gather(metric, second)
    both = samples[0].present & samples[1].present
    n, missing = int(both.sum()), int((~both).sum())
    if n == 0:
        note = "no item counts for this metric"
        if missing:
            note = f"none of {missing} items has a verdict in both arms"
        span = metric.bounds[1] - metric.bounds[0]
        return Estimate(
            value=None, low=None, high=None, interval="none", n=0, missing=missing,
            bound_low=finite(-span) if missing else None, bound_high=finite(span) if missing else None,
            note=note,
        )  # fmt: skip
    codes, clusters = encode(samples[0].codes[both].tolist(), n)
    if is_statistic(metric):
        return _of_statistic(metric, samples, both, codes, clusters, seed, replicates)
    name = metric.field or metric.name
    arms = [_spread(sample, name) for sample in samples]
    bounds = paired_bounds(arms[0], arms[1], metric.bounds)
    old, new = arms[0][both], arms[1][both]
    interval, p, note = change_interval(old, new, codes, clusters, metric.bounds)
    width = metric.bounds[1] - metric.bounds[0]
    return Estimate(
        value=float((new - old).mean()),
        low=clipped(interval.low, -width, width), high=clipped(interval.high, -width, width),
        interval=interval.name, n=n, missing=missing, clusters=clusters,
        bound_low=finite(bounds.low), bound_high=finite(bounds.high), p=p, note=note,
    )  # fmt: skip


def pair(
    metric: Metric, before: Sequence[Verdict], after: Sequence[Verdict]
) -> tuple[list[Verdict], list[Verdict]]:
    """The verdicts that count for the metric, both arms in the order of ``before``."""
    arms = []
    for arm, verdicts in (("before", before), ("after", after)):
        counted = [v for v in verdicts if metric.applies(v.group)]
        by_item = {v.item: v for v in counted}
        if len(by_item) < len(counted):
            raise InputError(f"an item has several verdicts {arm}; a paired change needs one an item.")
        arms.append(by_item)
    only = sorted(arms[0].keys() ^ arms[1].keys())
    if only:
        raise InputError(
            f"{len(only)} items of metric {metric.name!r} are in one arm only (such as {only[0]!r}); "
            "a paired change needs the same items in both."
        )
    return list(arms[0].values()), [arms[1][item] for item in arms[0]]


def _spread(sample: Sample, name: str) -> Floats:
    """A column over all verdicts, NaN where there is no value."""
    column = np.full(len(sample.present), math.nan)
    if sample.n:
        column[sample.present] = sample.columns[name]
    return column


def change_interval(
    old: Floats, new: Floats, codes: Codes, clusters: int, bounds: tuple[float, float]
) -> tuple[Interval, float | None, str]:
    """Interval, p and note of the mean of new − old."""
    n, d = len(old), new - old
    if clusters < 2:
        return NO_INTERVAL, None, ONE_CLUSTER
    clustered = clusters < n
    if bool(np.isin(old, (0.0, 1.0)).all() and np.isin(new, (0.0, 1.0)).all()):
        gained, lost = float((d > 0).sum()), float((d < 0).sum())
        effect = _design_effect(d, codes, clusters) if clustered else 1.0
        mean = safe_clustered_mean(d, codes, clusters) if clustered else paired_change(old, new)
        if (gained + lost) / effect < FEW_DISCORDANT or mean.se <= ROUNDING:
            interval = paired_score_interval(gained / effect, lost / effect, n / effect)
            name = f"{interval.name} on effective n" if clustered else interval.name
            p = mcnemar_exact(gained / effect, lost / effect)
            return Interval(low=interval.low, high=interval.high, name=name), p, ""
        p = t_two_sided_p(mean.value / mean.se, mean.df) if clustered else mcnemar_exact(gained, lost)
        return Interval(low=mean.low, high=mean.high, name=_t_name(clustered)), p, ""
    if np.ptp(d) == 0:
        width = bounds[1] - bounds[0]
        interval = degenerate_interval(float(d[0]), clusters, bounds=(-width, width))
        # All clusters moved alike: the exact sign test is what remains.
        return interval, 1.0 if d[0] == 0 else 2.0 * 0.5**clusters, ""
    mean = safe_clustered_mean(d, codes, clusters) if clustered else paired_change(old, new)
    if mean.se <= ROUNDING * float(np.ptp(d)):
        return NO_INTERVAL, None, NO_VARIATION
    p = t_two_sided_p(mean.value / mean.se, mean.df)
    return Interval(low=mean.low, high=mean.high, name=_t_name(clustered)), p, ""


def _t_name(clustered: bool) -> str:
    return "clustered paired t" if clustered else "paired t"


def _design_effect(d: Floats, codes: Codes, clusters: int) -> float:
    """What divides discordant counts: n over :func:`~.clustered.safe_effective_n`."""
    return len(d) / safe_effective_n(d, codes, clusters)


def _of_statistic(
    metric: Metric,
    samples: tuple[Sample, Sample],
    both: NDArray[np.bool_],
    codes: Codes,
    clusters: int,
    seed: int,
    replicates: int,
) -> Estimate:
    n, missing = int(both.sum()), int((~both).sum())
    old, new = ({name: column[both[s.present]] for name, column in s.columns.items()} for s in samples)
    value, result, note = math.nan, None, ONE_CLUSTER
    if clusters < 2:
        with np.errstate(invalid="ignore", divide="ignore"):
            value = metric.compute(new, np.ones(n)) - metric.compute(old, np.ones(n))
    else:
        result = resample_change(
            metric.statistic or metric.compute, old, new, codes, seed=seed, replicates=replicates
        )
        value, note = result.value, resampling_note(result)
    width = metric.bounds[1] - metric.bounds[0]
    ends = statistic_ends(result, (-width, width))
    low, high, gap = _statistic_bounds(metric, samples, missing, value)
    return Estimate(
        value=finite(value), low=ends[0], high=ends[1],
        interval="paired cluster bootstrap" if ends != (None, None) else "none",
        n=n, missing=missing, clusters=clusters, bound_low=low, bound_high=high,
        p=None if result is None else finite(result.p), note="; ".join(part for part in (note, gap) if part),
    )  # fmt: skip


def _statistic_bounds(
    metric: Metric, samples: tuple[Sample, Sample], missing: int, value: float
) -> tuple[float | None, float | None, str]:
    """Bounds of a change of a one-field statistic: each arm refilled at both ends of the range."""
    if not missing:
        return finite(value), finite(value), ""
    ends: list[list[float]] = []
    for sample in samples:
        filled = [refill(metric, sample, filling) for filling in metric.bounds]
        if any(columns is None for columns in filled) or not np.isfinite(metric.bounds).all():
            return None, None, f"no bounds: {missing} missing verdicts have no known range"
        with np.errstate(invalid="ignore", divide="ignore"):
            ends.append([metric.compute(c, np.ones(len(sample.present))) for c in filled if c is not None])
    changes = [after - before for before in ends[0] for after in ends[1]]
    if any(math.isnan(c) for c in changes):
        return None, None, "no bounds: undefined when the missing verdicts are refilled"
    return min(changes), max(changes), ""
