"""From verdicts to an estimate: the interval of the metric's kind, and bounds for the missing ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueline.core.measure import Metric, ShareAmong
from trueline.core.verdicts import Estimate, Verdict

from .arrays import Codes, Floats, encode
from .clustered import safe_clustered_mean, safe_effective_n
from .proportions import Interval, degenerate_interval, proportion_interval
from .resampling import Resampled, resample

ROUNDING = 1e-12  # a standard error below this share of the spread is rounding, not knowledge
NO_INTERVAL = Interval(low=-math.inf, high=math.inf, name="none")
ONE_CLUSTER = "one cluster alone gives no interval"
NO_VARIATION = "cluster totals do not vary: no interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The verdicts that count for a metric, in columns: every verdict field, NaN where one lacks it.

    ``present`` [n + missing] says which have values; ``columns`` [n] hold those; codes are over all.
    """

    columns: dict[str, Floats]
    present: np.ndarray[tuple[int], np.dtype[np.bool_]]
    codes: Codes
    clusters: int

    @property
    def n(self) -> int:
        """Verdicts with values."""
        return int(self.present.sum())

    @property
    def missing(self) -> int:
        """Verdicts without."""
        return len(self.present) - self.n


def is_statistic(metric: Metric) -> bool:
    """Whether the metric is something else than a mean of verdicts."""
    return metric.kind == "statistic" or metric.statistic is not None


def gather(metric: Metric, verdicts: Sequence[Verdict]) -> Sample:
    """The sample of a metric: verdicts of its groups, clusters by name (an unnamed one is the item's own)."""
    counted = [v for v in verdicts if metric.applies(v.group)]
    present = np.array([v.reason is None for v in counted], dtype=np.bool_)
    codes, clusters = encode([v.cluster or v.item for v in counted], len(counted))
    scored = [v.values for v in counted if v.reason is None]
    if not is_statistic(metric):
        name = metric.field or metric.name
        assert all(name in values for values in scored), f"a verdict of metric {metric.name!r} lacks {name!r}"
        fields = [name]
    else:
        fields = list(dict.fromkeys(field for values in scored for field in values))
    columns = {
        field: np.array([values.get(field, math.nan) for values in scored], dtype=np.float64)
        for field in fields
    }
    return Sample(columns=columns, present=present, codes=codes, clusters=clusters)


def estimate(
    metric: Metric, verdicts: Sequence[Verdict], *, seed: int = 0, replicates: int = 1000
) -> Estimate:
    """The metric's value on these verdicts with its 95 % interval.

    A ``proportion`` gets Wilson's interval, Clopper and Pearson's when ``rare`` or with fewer than five
    successes or failures, both on the effective n where items are clustered; a ``mean`` the clustered t
    interval (both with the small-sample care of clustered.py); a ``statistic`` cluster-weight resampling
    (``replicates``, ``seed``), but a ``ShareAmong`` the interval of a proportion of those that it counts.
    Missing verdicts change neither value nor interval:
    ``bound_low``/``bound_high`` show what they could do.
    """
    sample = gather(metric, verdicts)
    if sample.n == 0:
        note = (
            f"none of {sample.missing} verdicts has a value"
            if sample.missing
            else "no item counts for this metric"
        )
        low, high = finite(metric.bounds[0]), finite(metric.bounds[1])
        return Estimate(
            value=None, low=None, high=None, interval="none", n=0, missing=sample.missing,
            bound_low=low if sample.missing else None, bound_high=high if sample.missing else None, note=note,
        )  # fmt: skip
    if isinstance(metric.statistic, ShareAmong):
        return _of_share(metric, metric.statistic, sample)
    if is_statistic(metric):
        return _of_statistic(metric, sample, seed, replicates)
    values = sample.columns[metric.field or metric.name]
    codes, clusters = sample_clusters(sample)
    value = float(values.mean())
    interval, note = mean_interval(metric, values, codes, clusters)
    low, high = metric.bounds
    total = sample.n + sample.missing
    return Estimate(
        value=value, low=clipped(interval.low, low, high), high=clipped(interval.high, low, high),
        interval=interval.name, n=sample.n, missing=sample.missing, clusters=clusters,
        bound_low=finite((sample.n * value + sample.missing * low) / total if sample.missing else value),
        bound_high=finite((sample.n * value + sample.missing * high) / total if sample.missing else value),
        note=note,
    )  # fmt: skip


def sample_clusters(sample: Sample) -> tuple[Codes, int]:
    """Codes and number of the clusters that have a value."""
    if not sample.missing:
        return sample.codes, sample.clusters
    return encode(sample.codes[sample.present].tolist(), sample.n)


def mean_interval(metric: Metric, values: Floats, codes: Codes, clusters: int) -> tuple[Interval, str]:
    """The interval of a mean or proportion of ``values`` [n], infinite where there is none, and a note."""
    n = len(values)
    if metric.kind == "proportion":
        inside = values.min() >= 0 and values.max() <= 1
        assert inside, f"proportion {metric.name!r} has values outside [0, 1]"
        if clusters == n:
            return proportion_interval(float(values.sum()), n, rare=metric.rare), ""
        if clusters > 1 or np.ptp(values) == 0:
            size = safe_effective_n(values, codes, clusters)
            # A rate of 1 times a size may exceed the size by rounding.
            interval = proportion_interval(min(float(values.mean()) * size, size), size, rare=metric.rare)
            name = f"{interval.name} on effective n"
            return replace(interval, name=name), f"effective n {size:.1f} of {n} ({clusters} clusters)"
    elif clusters > 1:
        if np.ptp(values) > 0:
            mean = safe_clustered_mean(values, codes, clusters)
            if mean.se <= ROUNDING * float(np.ptp(values)):
                return NO_INTERVAL, NO_VARIATION
            return Interval(low=mean.low, high=mean.high, name="clustered t"), ""
        return degenerate_interval(float(values[0]), clusters, bounds=metric.bounds), ""
    return NO_INTERVAL, ONE_CLUSTER


def _of_share(metric: Metric, share: ShareAmong, sample: Sample) -> Estimate:
    """``n`` is what counts; a missing verdict may have counted, with either value."""
    counted, codes = share.counted(sample.columns), sample_clusters(sample)[0]
    values, n, missing = share.values(sample.columns)[counted], int(counted.sum()), sample.missing
    if n == 0:
        return Estimate(
            value=None, low=None, high=None, interval="none", n=0, missing=missing,
            bound_low=0.0 if missing else None, bound_high=1.0 if missing else None,
            note=f"none of {sample.n} verdicts counts for this share",
        )  # fmt: skip
    codes, clusters = encode(codes[counted].tolist(), n)
    as_rate = replace(metric, kind="proportion", statistic=None)
    interval, note = mean_interval(as_rate, values, codes, clusters)
    of = f"of {n} of {sample.n} verdicts"
    return Estimate(
        value=float(values.mean()), low=clipped(interval.low, 0.0, 1.0), high=clipped(interval.high, 0.0, 1.0),
        interval=interval.name, n=n, missing=missing, clusters=clusters,
        bound_low=float(values.sum()) / (n + missing), bound_high=(float(values.sum()) + missing) / (n + missing),
        note="; ".join(part for part in (of, note) if part),
    )  # fmt: skip


def _of_statistic(metric: Metric, sample: Sample, seed: int, replicates: int) -> Estimate:
    codes, clusters = sample_clusters(sample)
    if clusters < 2:
        with np.errstate(invalid="ignore", divide="ignore"):
            value = float(metric.compute(sample.columns, np.ones(sample.n)))
        result, note = None, ONE_CLUSTER
    else:
        result = resample(
            metric.statistic or metric.compute, sample.columns, codes, seed=seed, replicates=replicates
        )
        value, note = result.value, resampling_note(result)
    low, high, refill = _refilled(metric, sample, value)
    ends = statistic_ends(result, metric.bounds)
    return Estimate(
        value=finite(value), low=ends[0], high=ends[1],
        interval="cluster bootstrap" if ends != (None, None) else "none",
        n=sample.n, missing=sample.missing, clusters=clusters, bound_low=low, bound_high=high,
        note="; ".join(part for part in (note, refill) if part),
    )  # fmt: skip


def statistic_ends(
    result: Resampled | None, bounds: tuple[float, float]
) -> tuple[float | None, float | None]:
    """The interval's ends within the statistic's range; None where there is none."""
    if result is None or math.isnan(result.low):
        return None, None
    return finite(max(result.low, bounds[0])), finite(min(result.high, bounds[1]))


def resampling_note(result: Resampled) -> str:
    """What a reader must know of the resampling."""
    parts = []
    if math.isnan(result.value):
        parts.append("undefined on these verdicts")
    elif math.isnan(result.low):
        parts.append("all replicates are equal, so resampling gives no interval")
    if result.undefined and not math.isnan(result.value):
        count = f"{result.undefined} of {result.replicates}"
        parts.append(f"undefined in {count} replicates, counted at both ends")
    if result.biased:
        parts.append("biased at this sample size: interval widened towards the corrected value")
    return "; ".join(parts)


def refill(metric: Metric, sample: Sample, filling: float) -> dict[str, Floats] | None:
    """The one column over all verdicts, missing ones set to ``filling``; None where there are several."""
    name = metric.field or metric.name
    if list(sample.columns) != [name]:
        return None
    column = np.full(len(sample.present), filling)
    column[sample.present] = sample.columns[name]
    return {name: column}


def _refilled(metric: Metric, sample: Sample, value: float) -> tuple[float | None, float | None, str]:
    """Bounds of a statistic of one field, refilled at both ends of its range (right where it is monotone)."""
    if not sample.missing:
        return finite(value), finite(value), ""
    ends = []
    for filling in metric.bounds:
        columns = refill(metric, sample, filling)
        if columns is None or not math.isfinite(filling):
            return None, None, f"no bounds: {sample.missing} missing verdicts have no known range"
        with np.errstate(invalid="ignore", divide="ignore"):
            ends.append(metric.compute(columns, np.ones(len(sample.present))))
    if any(math.isnan(end) for end in ends):
        return None, None, "no bounds: undefined when the missing verdicts are refilled"
    return min(ends), max(ends), ""


def clipped(end: float, low: float, high: float) -> float | None:
    """An interval's end within the range; None where there is none."""
    return min(max(end, low), high) if math.isfinite(end) else None


def finite(value: float) -> float | None:
    """A number for a report: None where it is NaN or infinite."""
    return float(value) if math.isfinite(value) else None
