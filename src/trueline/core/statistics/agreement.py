"""Agreement of raters beyond chance: Krippendorff's α and Cohen's κ, under weights of the units.

Krippendorff (Content Analysis, 2004, chapter 11): α = 1 − D_o/D_e. A unit u with m_u ≥ 2 ratings holds
m_u(m_u − 1) ordered pairs, each of weight 1/(m_u − 1); D_o is the mean squared difference δ² over the pairs
within units, D_e over all pairs of ratings. Nominal δ² = [c ≠ k], interval δ² = (c − k)². Units with one
rating say nothing of agreement and are left out. Cohen (1960): κ = (p_o − p_e)/(1 − p_e) for two raters, p_e
the agreement that their two marginal distributions give by chance.

Shapes: ``U`` units, ``R`` raters.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

Level = Literal["nominal", "interval"]


def krippendorff_alpha(
    ratings: NDArray[np.float64], weights: Floats | None = None, *, level: Level = "nominal"
) -> float:
    """α of ``ratings`` [U, R], NaN where a rater gave none; ``weights`` [U] of the units, any scale.

    NaN where no unit has two ratings, or where all ratings are equal, so that chance could not disagree.
    """
    known = ~np.isnan(ratings)
    counts = known.sum(axis=1)
    kept = counts >= 2
    if not kept.any():
        return float("nan")
    values, known, m = np.where(known, ratings, 0.0)[kept], known[kept], counts[kept].astype(np.float64)
    w = np.ones(len(m)) if weights is None else weights[kept] / weights[kept].mean()
    n = float(w @ m)
    if level == "nominal":
        categories, place = np.unique(values, return_inverse=True)
        one_hot = (place.reshape(values.shape)[..., None] == np.arange(len(categories))) & known[..., None]
        tallies = one_hot.sum(axis=1).astype(np.float64)  # [U, categories]
        within = m**2 - (tallies**2).sum(axis=1)
        totals = w @ tallies
        between = n * n - float(totals @ totals)
    else:
        first, second = values.sum(axis=1), (values**2).sum(axis=1)  # a missing rating is 0 in both
        within = 2 * (m * second - first**2)
        between = 2 * (n * float(w @ second) - float(w @ first) ** 2)
    if between <= 1e-12:
        return float("nan")
    observed = float(w @ (within / (m - 1))) / n
    return 1.0 - observed / (between / (n * (n - 1)))


def cohen_kappa(first: Floats, second: Floats, weights: Floats | None = None) -> float:
    """κ of two raters' categories [U]; NaN where both always say the same one thing."""
    w = np.ones(len(first)) if weights is None else weights
    w = w / w.sum()
    observed = float(w @ (first == second))
    categories = np.union1d(first, second)
    chance = sum(float(w @ (first == c)) * float(w @ (second == c)) for c in categories)
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else float("nan")
