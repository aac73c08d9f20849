"""What a study's items can detect: the smallest paired change found with 80 % power, or the items that a change takes.

Planned for a two-sided paired t test (``core.statistics.power``) under three assumptions, since nothing is measured
yet: each arm's item scores vary as those of a 50 % rate do (the most that a rate can), half of that variance is
shared by the arms (ρ = ½, so sd(d) is half of the metric's range), and items of one cluster have an intraclass
correlation of 0.1: with Σm²/Σm items in an item's own cluster on average, n items count as n/(1 + 0.1·(Σm²/Σm − 1)).
Where m primaries are named, each is planned at 0.05/m, the first step of Holm.

Example: 5 points take 788 independent items; ``--limit 100`` detects 14.1.
"""

from collections import Counter
from collections.abc import Sequence

from trueline.core.measure import Measure, Metric
from trueline.core.statistics import power_of, smallest_detectable_effect
from trueline.core.statistics.estimate import is_statistic
from trueline.core.verdicts import Item

from .selection import CONTROL, select
from .spec import Primary, StudySpec

RATE, CORRELATION, INTRACLASS, POWER, ALPHA = 0.5, 0.5, 0.1, 0.8, 0.05


def planned_metrics(measure: Measure, primary: Sequence[Primary]) -> tuple[list[Metric], float]:
    """The metrics that a measure's items are planned for, primaries or else headlines, and at which α."""
    named = {p.metric for p in primary if p.measure == measure.name}
    metrics = [metric for metric in measure.metrics if metric.name in named]
    if metrics:
        return metrics, ALPHA / len(primary)
    return [metric for metric in measure.metrics if metric.headline] or list(measure.metrics[:1]), ALPHA


def chosen(
    items: Sequence[Item], spec: StudySpec, measure: Measure, primary: Sequence[Primary]
) -> list[Item]:
    """The items that a study asks: at most its limit, and no more than it takes to detect its change."""
    limit = spec.limits.get(measure.name, spec.limit)
    if spec.detect is not None:
        metrics, alpha = planned_metrics(measure, primary)
        needed = [items_to_detect(items, metric, spec.detect, alpha) for metric in metrics]
        enough = [n for n in needed if n is not None]
        if len(enough) == len(needed):
            limit = min(max(enough), limit or len(items))
    return select(items, limit)


def smallest_change(items: Sequence[Item], measure: Measure, primary: Sequence[Primary]) -> float | None:
    """What the items detect of whichever planned metric they say least of; None where no formula says."""
    metrics, alpha = planned_metrics(measure, primary)
    found = [d for metric in metrics if (d := detectable(items, metric, alpha)) is not None]
    return max(found, default=None)


def detectable(items: Sequence[Item], metric: Metric, alpha: float = ALPHA) -> float | None:
    """The smallest change of the metric that these items detect; None where no formula says."""
    found = _sample(items, metric)
    if found is None:
        return None
    n, effect, width = found
    return width * smallest_detectable_effect(
        n, rate=RATE, power=POWER, alpha=alpha, design_effect=effect, correlation=CORRELATION
    )


def items_to_detect(items: Sequence[Item], metric: Metric, effect: float, alpha: float = ALPHA) -> int | None:
    """The least limit whose items detect a change of ``effect``; None where all of them do not.

    The limit is what ``selection.select`` takes, so that groups and clusters are those that a study would ask.
    """

    def enough(limit: int) -> bool:
        found = _sample(select(items, limit), metric)
        if found is None:
            return False
        n, design, width = found
        reached = power_of(
            effect / width, n, rate=RATE, alpha=alpha, design_effect=design, correlation=CORRELATION
        )
        return reached >= POWER

    low, high = 0, sum(item.group != CONTROL for item in items)
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _sample(items: Sequence[Item], metric: Metric) -> tuple[int, float, float] | None:
    """Items that count for the metric, their design effect and the metric's range; None where power has no formula."""
    width = metric.bounds[1] - metric.bounds[0]
    if is_statistic(metric) or not width < float("inf"):
        return None
    clusters = Counter(
        item.cluster or item.id
        for item in items
        if metric.applies(item.group) and (metric.groups or item.group != CONTROL)
    )
    n = clusters.total()
    design = 1.0 if not n else 1 + INTRACLASS * (sum(m * m for m in clusters.values()) / n - 1)
    return (n, design, width) if n / design > 2 and len(clusters) > 2 else None
