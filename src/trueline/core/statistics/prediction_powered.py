"""A judge corrected by labels from this very study: prediction-powered inference with a tuned λ.

Source: PPI++ (Angelopoulos, Duchi, Zrnic 2023, arXiv 2311.01453). N items have a judge's value f; some of
them, drawn at random with known inclusion probabilities π, have a true label y as well:

    θ̂(λ) = λ·mean_N(f) + mean_n(y − λf),   mean_n weighted by 1/π.

The labelled items belong to the N (a two-phase sample), so N's mean holds them too; that is the paper's
estimator with λ·N/(N − n) in place of λ. Linearised, θ̂(λ) − θ = (1/N)·Σ_i(a_i + λb_i) with a_i = w_i(y_i −
ȳ), b_i = (f_i − f̄_N) − w_i(f_i − f̄_n), w_i = (1/π_i)·N/Σ(1/π) on labelled items and 0 elsewhere. Summed
over clusters, labelled and unlabelled items jointly, the variance is Σ_c(A_c + λB_c)²/N², the limit of
resampling clusters jointly. It is least at λ = −ΣAB/ΣB², kept within [0, 1]: a judge that does not help gets
λ → 0 and leaves the labels alone.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

from .arrays import Clusters, Floats, cluster_sums, encode, floats, t_quantile, t_two_sided_p
from .clustered import tail_df


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredEstimate:
    """A prediction-powered mean or change. ``tuning`` is λ, ``labels_alone`` the estimate at λ = 0."""

    value: float
    se: float
    low: float
    high: float
    p: float
    df: float
    tuning: float
    labels_alone: float
    labelled: int
    n: int
    clusters: int


def ppi_mean(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    inclusion: ArrayLike | None = None,
    clusters: Clusters | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> PoweredEstimate:
    """The mean true label over all N items.

    ``labels`` [N] are NaN where an item was not labelled, ``predictions`` [N] the judge's values on all
    items, ``inclusion`` [N] the probabilities with which items were drawn for labelling (None: all alike),
    ``bounds`` the range of a label. The interval adds two labels on which judge and human disagree fully, one
    each way (the variance term 2·(hi − lo)²/n², after Agresti and Coull): 50 labels without a disagreement do
    not prove a perfect judge. Its t has :func:`~.clustered.tail_df` degrees of freedom, at most labelled
    clusters − 1.
    """
    truth, judged, weights = _checked(labels, predictions, inclusion)
    estimate = _powered(truth, judged, weights, clusters, bounds[1] - bounds[0], level)
    return _clipped(estimate, bounds)


def ppi_change(
    labels_before: ArrayLike,
    labels_after: ArrayLike,
    predictions_before: ArrayLike,
    predictions_after: ArrayLike,
    *,
    inclusion: ArrayLike | None = None,
    clusters: Clusters | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> PoweredEstimate:
    """The paired change d̂ = λ·mean_N(Δf) + mean_n(Δy − λΔf) of two arms on the same N items.

    An item is labelled in both arms or in neither; arguments as for :func:`ppi_mean`.
    """
    first, second = np.asarray(labels_before, dtype=np.float64), np.asarray(labels_after, dtype=np.float64)
    if first.shape != second.shape or (np.isnan(first) != np.isnan(second)).any():
        raise InputError("labels of the two arms cover different items; label both arms of an item.")
    judged_before = floats(predictions_before, what="predictions before")
    judged_after = floats(predictions_after, what="predictions after")
    if len(judged_before) != len(judged_after):
        raise InputError(f"{len(judged_before)} predictions before and {len(judged_after)} after; pair them.")
    truth, judged, weights = _checked(second - first, judged_after - judged_before, inclusion)
    width = bounds[1] - bounds[0]
    return _clipped(_powered(truth, judged, weights, clusters, width, level), (-width, width))


def _checked(
    labels: ArrayLike, predictions: ArrayLike, inclusion: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Labels, predictions, and weights w (mean 1 over N; 0 where unlabelled)."""
    truth = np.asarray(labels, dtype=np.float64)
    judged = floats(predictions, what="predictions")
    n = len(judged)
    if truth.shape != judged.shape:
        raise InputError(f"{truth.shape} labels for {n} predictions; pass NaN for items without a label.")
    known = ~np.isnan(truth)
    if known.sum() < 2:
        raise InputError(f"{int(known.sum())} labelled items; prediction-powered inference needs two.")
    chances = np.ones(n) if inclusion is None else floats(inclusion, what="inclusion probabilities")
    if chances.shape != truth.shape or not ((chances > 0) & (chances <= 1)).all():
        raise InputError("inclusion probabilities must be one for each item, above 0 and at most 1.")
    raw = np.where(known, 1.0 / chances, 0.0)
    return np.where(known, truth, 0.0), judged, raw * n / raw.sum()


def _powered(
    truth: Floats, judged: Floats, weights: Floats, clusters: Clusters | None, width: float, level: float
) -> PoweredEstimate:
    n = len(judged)
    codes, count = encode(clusters, n)
    known = weights > 0
    labelled = int(known.sum())
    groups = len(np.unique(codes[known]))
    if groups < 2:
        raise InputError("all labels lie in one cluster; label items of at least two.")
    labels_mean = float(weights @ truth) / n
    judged_mean = float(judged.mean())
    judged_labelled = float(weights @ judged) / n
    of_labels = cluster_sums(weights * (truth - labels_mean), codes, count)
    of_judge = cluster_sums((judged - judged_mean) - weights * (judged - judged_labelled), codes, count)
    curvature = float(of_judge @ of_judge)
    # Where every item is labelled, or the judge says one thing only, f has nothing to add.
    tuning = -float(of_labels @ of_judge) / curvature if curvature > 1e-12 * n else 0.0
    tuning = min(max(tuning, 0.0), 1.0) + 0.0  # −0 is 0
    value = tuning * judged_mean + labels_mean - tuning * judged_labelled
    sums = of_labels + tuning * of_judge
    variance = float(sums @ sums) / n**2 * groups / (groups - 1) + 2 * (width / labelled) ** 2
    se = float(np.sqrt(variance))
    df = min(tail_df(sums), float(groups - 1))
    half = t_quantile(level, df) * se
    return PoweredEstimate(
        value=value, se=se, low=value - half, high=value + half, p=t_two_sided_p(value / se, df), df=df,
        tuning=tuning, labels_alone=labels_mean, labelled=labelled, n=n, clusters=count,
    )  # fmt: skip


def _clipped(estimate: PoweredEstimate, bounds: tuple[float, float]) -> PoweredEstimate:
    """Value and interval within the range that the quantity can have."""
    value, low, high = (
        min(max(x, bounds[0]), bounds[1]) for x in (estimate.value, estimate.low, estimate.high)
    )
    return replace(estimate, value=value, low=low, high=high)
