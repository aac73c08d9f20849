"""Counts of right and wrong verdicts on one source, their intervals, and the area under the ROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.core.statistics import wilson
from trueline.core.statistics.arrays import encode
from trueline.core.statistics.clustered import safe_effective_n

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRates:
    """Counts on one source. ``missing`` answers got no verdict and count in neither rate.

    ``auc`` is the chance that a random positive scores above a random negative, ties half, with DeLong's
    interval; None for a judge that only says yes or no. ``effective_positives`` and ``effective_negatives``
    are what the counts are worth where answers come in clusters (one template, one request put to several
    models); None where each stands for itself.
    """

    source: str
    positives: int
    true_positives: int
    negatives: int
    true_negatives: int
    missing: int = 0
    auc: float | None = None
    auc_interval: Interval | None = None
    effective_positives: float | None = None
    effective_negatives: float | None = None

    @property
    def n(self) -> int:
        """Answers with a verdict."""
        return self.positives + self.negatives

    @property
    def sensitivity(self) -> float | None:
        """True positives over positives; None without positives."""
        return self.true_positives / self.positives if self.positives else None

    @property
    def specificity(self) -> float | None:
        """True negatives over negatives; None without negatives."""
        return self.true_negatives / self.negatives if self.negatives else None

    @property
    def sensitivity_interval(self) -> Interval | None:
        """Wilson, 95 %, on the effective number of positives."""
        return _wilson(self.sensitivity, self.effective_positives or self.positives)

    @property
    def specificity_interval(self) -> Interval | None:
        """Wilson, 95 %, on the effective number of negatives."""
        return _wilson(self.specificity, self.effective_negatives or self.negatives)

    @property
    def true_rate(self) -> float | None:
        """Share of positives by the labels, among the answers with a verdict."""
        return self.positives / self.n if self.n else None

    @property
    def judged_rate(self) -> float | None:
        """Share of positives by the judge."""
        return (self.true_positives + self.negatives - self.true_negatives) / self.n if self.n else None


def _wilson(rate: float | None, n: float) -> Interval | None:
    if rate is None:
        return None
    interval = wilson(min(rate * n, n), n)
    return interval.low, interval.high


def rates(
    source: str,
    labels: Sequence[bool],
    values: Sequence[float | None],
    *,
    clusters: Sequence[str] | None = None,
    threshold: float = 0.5,
) -> SourceRates:
    """Counts and AUC of one source from aligned labels and values (None: no verdict)."""
    kept = [i for i, value in enumerate(values) if value is not None]
    truth = np.array([labels[i] for i in kept], dtype=np.bool_)
    said = np.array([values[i] for i in kept], dtype=np.float64)
    names = None if clusters is None else [clusters[i] for i in kept]
    positive, negative = said[truth], said[~truth]
    graded = len(set(said.tolist())) > 2 and min(len(positive), len(negative)) > 1
    area, interval = auc(positive, negative) if graded else (None, None)
    right = (said >= threshold) == truth
    return SourceRates(
        source=source,
        positives=len(positive),
        true_positives=int(right[truth].sum()),
        negatives=len(negative),
        true_negatives=int(right[~truth].sum()),
        missing=len(labels) - len(kept),
        auc=area,
        auc_interval=interval,
        effective_positives=_effective(right, names, truth),
        effective_negatives=_effective(right, names, ~truth),
    )


def _effective(
    right: NDArray[np.bool_], names: Sequence[str] | None, chosen: NDArray[np.bool_]
) -> float | None:
    """The effective number of the chosen answers; None where each is a cluster of its own."""
    if names is None or not chosen.any():
        return None
    values = right[chosen].astype(np.float64)
    codes, count = encode([name for name, of_class in zip(names, chosen) if of_class], len(values))
    if count == len(values):
        return None
    return safe_effective_n(values, codes, count) if count > 1 else 1.0


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, Interval]:
    """Area under the ROC curve with DeLong's 95 % interval (DeLong et al. 1988), clipped to [0, 1]."""
    from scipy.stats import rankdata  # slow to import, and only a judge's own card needs it

    m, n = len(positive), len(negative)
    together = rankdata(np.concatenate([positive, negative]))
    above = (together[:m] - rankdata(positive)) / n  # share of negatives below each positive, ties half
    below = 1.0 - (together[m:] - rankdata(negative)) / m  # share of positives above each negative, ties half
    area = float(above.mean())
    half = 1.959963984540054 * float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    return area, (max(0.0, area - half), min(1.0, area + half))
