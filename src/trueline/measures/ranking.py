"""How well a score tells two classes apart, under weights: AUC and the true positive rate at a false one.

Pure functions of scores [n] (higher: more like a positive), positives [n] (0 or 1) and weights [n]; NaN where
a class is absent. Items whose score is NaN are left out.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LOW_FPR = 0.01


def auc(scores: Floats, positives: Floats, weights: Floats) -> float:
    """P(a positive scores above a negative) + P(equal)/2."""
    positive, negative = _by_score(scores, positives, weights)
    if positive.sum() <= 0 or negative.sum() <= 0:
        return math.nan
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))


def tpr_at_fpr(scores: Floats, positives: Floats, weights: Floats, fpr: float = LOW_FPR) -> float:
    """The largest true positive rate of a threshold whose false positive rate is at most ``fpr``.

    Positives that tie with a negative pass the threshold only together with it; nothing is interpolated.
    """
    positive, negative = _by_score(scores, positives, weights)
    if positive.sum() <= 0 or negative.sum() <= 0:
        return math.nan
    caught = np.cumsum(positive[::-1]) / positive.sum()
    false = np.cumsum(negative[::-1]) / negative.sum()
    allowed = false <= fpr + 1e-12
    return float(caught[allowed].max()) if allowed.any() else 0.0


def _by_score(scores: Floats, positives: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of the positives and of the negatives at each distinct score, lowest first."""
    known = ~np.isnan(scores)
    values, place = np.unique(scores[known], return_inverse=True)
    size, w, p = len(values), weights[known], positives[known]
    positive: Floats = np.bincount(place, w * p, minlength=size).astype(np.float64)
    negative: Floats = np.bincount(place, w * (1 - p), minlength=size).astype(np.float64)
    return positive, negative
