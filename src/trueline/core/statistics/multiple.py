"""Many hypotheses: Holm over the primaries, Benjamini and Hochberg over what is exploratory."""

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

from .arrays import Floats


def holm(pvalues: ArrayLike) -> Floats:
    """Holm's adjusted p (1979), in the given order: max over j ≤ i of min(1, (m − j + 1)·p_(j)).

    Rejecting where it is at most α keeps the chance of any false rejection at α, whatever the dependence.
    """
    ps = _checked(pvalues)
    order = np.argsort(ps, kind="stable")
    scaled = ps[order] * np.arange(len(ps), 0, -1)
    adjusted = np.empty_like(ps)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def benjamini_hochberg(pvalues: ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p (1995), in the given order: min over j ≥ i of min(1, m·p_(j)/j).

    Rejecting where it is at most α keeps the expected share of false rejections at α for independent or
    positively dependent tests.
    """
    ps = _checked(pvalues)
    order = np.argsort(ps, kind="stable")
    count = len(ps)
    scaled = ps[order] * count / np.arange(1, count + 1)
    adjusted = np.empty_like(ps)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def _checked(pvalues: ArrayLike) -> Floats:
    ps = np.asarray(pvalues, dtype=np.float64)
    if ps.ndim != 1 or not ((ps >= 0) & (ps <= 1)).all():
        raise InputError(f"p-values {ps.tolist()!r} must lie in [0, 1]; leave undefined ones out.")
    return ps
