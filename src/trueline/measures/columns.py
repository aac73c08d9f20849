"""Statistics over columns of verdict values in which some verdicts lack a field (NaN)."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def known_mean(columns: Mapping[str, Floats], field: str, weights: Floats) -> float:
    """Weighted mean of a field where it is there; NaN where it never is."""
    if field not in columns:
        return math.nan
    known = ~np.isnan(columns[field])
    total = weights[known].sum()
    return float(weights[known] @ columns[field][known] / total) if total > 0 else math.nan
