"""Coherence checks: when a target's answers cannot carry the number that a measure would report."""

from collections.abc import Sequence

import numpy as np

from trueline.core.statistics.arrays import encode
from trueline.core.statistics.clustered import safe_effective_n
from trueline.core.statistics.proportions import proportion_interval
from trueline.core.verdicts import Verdict


def share_bounds(values: Sequence[float], clusters: Sequence[str]) -> tuple[float, float]:
    """95 % interval of the mean of values in [0, 1]: Wilson's, or the exact one where events are few.

    Items that share a cluster count as their effective number.
    """
    scores = np.asarray(values, dtype=np.float64)
    codes, count = encode(clusters, len(scores))
    independent = count in (1, len(scores))
    n = float(count) if independent else safe_effective_n(scores, codes, count)
    interval = proportion_interval(float(scores.mean()) * n, n)
    return interval.low, interval.high


def chance_check(
    verdicts: Sequence[Verdict], field: str, *, what: str = "accuracy", informative_below: bool = False
) -> str | None:
    """Uninformative when the 95 % interval of ``field`` reaches down to what guessing gives.

    ``field`` holds 0 or 1, the value ``chance`` what guessing gives on the item. ``informative_below``: a
    value clearly below chance is a finding, not ignorance.
    """
    kept = [v for v in verdicts if field in v.values and "chance" in v.values]
    if not kept:
        return None
    values = [v.values[field] for v in kept]
    mean = sum(values) / len(values)
    chance = sum(v.values["chance"] for v in kept) / len(kept)
    low, high = share_bounds(values, [v.cluster for v in kept])
    if low > chance or (informative_below and high < chance):
        return None
    where = "includes" if high >= chance else "lies below"
    return (
        f"uninformative: {what} {mean:.1%} [{low:.1%}, {high:.1%}] on {len(values)} items {where} "
        f"chance ({chance:.1%})"
    )
