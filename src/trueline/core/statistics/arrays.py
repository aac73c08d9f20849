"""Arrays and clusters: what every file of the statistics shares.

Legend: n items, K clusters, R replicates; a *code* is a cluster's number in 0 … K − 1.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from trueline.core.errors import InputError

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Clusters = Sequence[Hashable] | NDArray[Any]


def floats(values: ArrayLike, *, what: str, dimensions: int = 1) -> Floats:
    """A finite float64 array; raises InputError naming ``what`` otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions:
        raise InputError(f"{what} have shape {array.shape}; pass an array of {dimensions} dimension(s).")
    if not np.isfinite(array).all():
        raise InputError(f"{what} contain NaN or infinity; leave missing ones out and report their number.")
    return array


def check_level(level: float) -> None:
    """A confidence level lies strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise InputError(f"confidence level {level!r} must lie between 0 and 1; 0.95 is usual.")


def encode(clusters: Clusters | None, n: int) -> tuple[Codes, int]:
    """Codes in order of first appearance, and their number; None: each of ``n`` items is its own cluster."""
    if clusters is None:
        return np.arange(n, dtype=np.intp), n
    if len(clusters) != n:
        raise InputError(f"{len(clusters)} cluster names for {n} values; pass one for each value.")
    seen: dict[Hashable, int] = {}
    codes = np.fromiter((seen.setdefault(c, len(seen)) for c in clusters), dtype=np.intp, count=n)
    return codes, len(seen)


def cluster_sums(values: Floats, codes: Codes, count: int) -> Floats:
    """Σ of the values of each cluster, shape [K]."""
    sums: Floats = np.bincount(codes, weights=values, minlength=count).astype(np.float64, copy=False)
    return sums


def normal_quantile(level: float) -> float:
    """The two-sided standard normal quantile: 1.96 at 0.95."""
    return float(special.ndtri(0.5 + level / 2))


def t_quantile(level: float, df: float) -> float:
    """The two-sided quantile of Student's t: 2.262 at 0.95 on 9 degrees of freedom."""
    return float(special.stdtrit(df, 0.5 + level / 2)) if np.isfinite(df) else normal_quantile(level)


def t_two_sided_p(t: float, df: float) -> float:
    """P(|T| ≥ |t|) for Student's t (normal when ``df`` is infinite)."""
    tail = special.stdtr(df, -abs(t)) if np.isfinite(df) else special.ndtr(-abs(t))
    return float(min(1.0, 2.0 * tail))
