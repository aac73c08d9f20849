"""Which methods may be the best: a model confidence set.

Source: Hansen, Lunde and Nason, "The Model Confidence Set", Econometrica 79 (2011), with the T_max statistic
and the elimination rule of the largest t; the bootstrap draws clusters of items, with one weight for all
methods.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

from .arrays import Clusters, Floats, check_level, encode, floats
from .resampling import cluster_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSet:
    """``members`` (columns of the losses) hold the best method with the stated confidence.

    ``p`` [M] is each method's p: it belongs to every set whose level is at least 1 − p. ``eliminated`` lists
    the others, the worst first.
    """

    members: tuple[int, ...]
    eliminated: tuple[int, ...]
    p: Floats


def confidence_set(
    losses: ArrayLike,
    clusters: Clusters | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    replicates: int = 1000,
) -> ConfidenceSet:
    """The methods that cannot be told from the best on these ``losses`` [n, M] (smaller is better).

    While methods remain: d̄_i = mean loss of i minus the mean over those that remain; t_i = d̄_i / its
    bootstrap error; p = share of replicates whose max_i of the centred t exceeds max_i t_i; if p < 1 − level,
    the method with the largest t leaves. A method's p is the largest p up to its turn.
    """
    table = floats(losses, what="losses", dimensions=2)
    n, methods = table.shape
    check_level(level)
    codes, count = encode(clusters, n)
    if methods < 1 or count < 2:
        raise InputError(f"losses of {methods} methods in {count} clusters; pass at least one and two.")
    means = table.mean(axis=0)
    blocks = cluster_weights(codes, count, replicates=replicates, seed=seed)
    draws = np.concatenate([w @ table / w.sum(axis=1, keepdims=True) for w in blocks])
    # Exponential weights give a mean the variance σ̂²/(K + 1) instead of σ̂²/(K − 1); see resampling.py.
    draws = (draws - means) * np.sqrt((count + 1) / (count - 1))
    remaining = list(range(methods))
    order: list[int] = []
    ps = np.ones(methods)
    running = 0.0
    while len(remaining) > 1:
        excess = means[remaining] - means[remaining].mean()
        centred = draws[:, remaining] - draws[:, remaining].mean(axis=1, keepdims=True)
        error = np.sqrt((centred**2).mean(axis=0))
        certain = error <= 1e-12 * max(1.0, float(np.abs(means).max()))
        scale = np.where(certain, 1.0, error)
        sure = np.where(np.abs(excess) <= 1e-12, 0.0, np.copysign(np.inf, excess))
        t = np.where(certain, sure, excess / scale)
        reached = np.where(certain, 0.0, centred / scale).max(axis=1)
        worst = int(np.argmax(t))
        p = float((1 + (reached >= t[worst]).sum()) / (1 + replicates)) if t[worst] > 0 else 1.0
        running = max(running, p)
        ps[remaining[worst]] = running
        order.append(remaining.pop(worst))
    members = tuple(int(i) for i in np.flatnonzero(ps >= 1 - level))
    return ConfidenceSet(members=members, eliminated=tuple(i for i in order if i not in members), p=ps)
