"""Equivalence: "no difference" is claimed only when both one-sided tests against a stated margin reject."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from trueline.core.errors import InputError

from .arrays import check_level, t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """The answer of the two one-sided tests; ``low``/``high`` are the 1 − 2α interval (90 % at α = 5 %)."""

    equivalent: bool
    p: float
    low: float
    high: float
    margin: float


def tost(difference: float, se: float, df: float, margin: float, alpha: float = 0.05) -> Equivalence:
    """Schuirmann's two one-sided t tests (1987) of |δ| ≥ margin.

    p = max(P(T ≥ (d + margin)/se), P(T ≤ (d − margin)/se)); p ≤ α exactly when the 1 − 2α interval lies
    within ±margin. ``df`` may be infinite. Raises InputError unless margin > 0 and se ≥ 0.
    """
    if not (np.isfinite(margin) and margin > 0):
        raise InputError(f"margin {margin!r} must be positive: the largest difference that does not matter.")
    if not se >= 0 or not df > 0:
        raise InputError(f"standard error {se!r} must be at least 0 and df {df!r} positive.")
    check_level(1 - 2 * alpha)
    if se == 0:
        p = 0.0 if abs(difference) < margin else 1.0
    else:
        p = max(_upper((difference + margin) / se, df), _upper((margin - difference) / se, df))
    half = t_quantile(1 - 2 * alpha, df) * se
    return Equivalence(
        equivalent=p <= alpha, p=p, low=difference - half, high=difference + half, margin=margin
    )


def _upper(t: float, df: float) -> float:
    return float(special.stdtr(df, -t) if np.isfinite(df) else special.ndtr(-t))
