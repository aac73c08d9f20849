"""The estimand *this method*: seeds and items both vary, and both are samples of something larger.

Scores of a method trained under S seeds and examined on I items follow y_si = μ + a_s + b_i + e_si (two
crossed random effects). Var(ȳ) = σ_a²/S + σ_b²/I + σ_e²/(SI), with mean squares estimated by (MS_seeds +
MS_items − MS_rest)/(SI) on Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946). The other
estimand, *this checkpoint*, is :func:`~.clustered.clustered_mean` of one seed's scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

from .arrays import Clusters, encode, floats, t_quantile, t_two_sided_p

LEAST_SEEDS = 5  # for a claim: with three the half-width is 4.30/√3 = 2.5 standard deviations between seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEstimate:
    """A method's mean over seeds and items; ``missing`` scores are not in it. ``claimable`` is False below five
    seeds."""

    value: float
    se: float
    low: float
    high: float
    p: float
    df: float
    seeds: int
    items: int
    clusters: int
    missing: int
    claimable: bool


def method_estimate(
    scores: ArrayLike, clusters: Clusters | None = None, level: float = 0.95
) -> MethodEstimate:
    """The mean of ``scores`` [S, I] with an interval for new seeds *and* new items.

    For a paired change pass the differences of two methods, seed by seed and item by item. A score that is missing is
    NaN: the mean is over those that are there, and says nothing of the others (``missing`` counts them). ``clusters``
    [I] makes clusters of items the second factor. What enters the mean squares is each seed's and cluster's share of
    the mean's error, Σ (score − mean) · SK/N over its N scores in all: with nothing missing and a cluster an item,
    these are the deviations themselves. The variance is at least that of either factor alone (a variance component
    estimated below 0 counts as 0). Raises InputError with fewer than two seeds or clusters, an infinite score, or a
    seed without any score.
    """
    table = np.asarray(scores, dtype=np.float64)
    there = ~np.isnan(table)
    floats(np.where(there, table, 0.0), what="scores", dimensions=2)  # refuses another shape, and infinity
    seeds, items = table.shape
    if not there.any(axis=1).all():
        raise InputError("a seed has no score at all; leave it out.")
    examined = there.any(axis=0)
    named = encode(clusters, items)[0][examined]
    table, there = table[:, examined], there[:, examined]
    codes, count = encode(named, table.shape[1])
    if seeds < 2 or count < 2:
        raise InputError(f"{seeds} seeds and {count} items or clusters; pass at least two of each.")
    known = int(there.sum())
    mean = float(table[there].mean())
    shares = np.zeros((seeds, count))
    np.add.at(shares.T, codes, np.where(there, table - mean, 0.0).T)
    shares *= seeds * count / known
    by_seed = shares.mean(axis=1)
    by_item = shares.mean(axis=0)
    rest = shares - by_seed[:, None] - by_item[None, :]
    seed_square = count * float(by_seed @ by_seed) / (seeds - 1)
    item_square = seeds * float(by_item @ by_item) / (count - 1)
    rest_df = (seeds - 1) * (count - 1)
    rest_square = float((rest**2).sum()) / rest_df
    combined = seed_square + item_square - rest_square
    if combined >= max(seed_square, item_square):
        spread = seed_square**2 / (seeds - 1) + item_square**2 / (count - 1) + rest_square**2 / rest_df
        df = combined**2 / spread if spread > 0 else float(seeds - 1)
    elif seed_square >= item_square:
        combined, df = seed_square, float(seeds - 1)
    else:
        combined, df = item_square, float(count - 1)
    se = float(np.sqrt(combined / (seeds * count)))
    half = t_quantile(level, df) * se
    return MethodEstimate(
        value=mean, se=se, low=mean - half, high=mean + half,
        p=t_two_sided_p(mean / se, df) if se > 0 else float(mean == 0), df=df,
        seeds=seeds, items=table.shape[1], clusters=count, missing=seeds * items - known,
        claimable=seeds >= LEAST_SEEDS,
    )  # fmt: skip
