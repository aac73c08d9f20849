"""Sequential stopping: a treated arm is asked only until its primaries are decided.

Each primary's paired change from the baseline, which is asked everything, gets a betting confidence sequence
without replacement (arXiv 2010.09686): items come in clusters, the clusters in a random order that is fixed by the
study's seed and their names, and the sequence holds for the mean over *all planned items* at every look at once. A
primary is decided when zero lies outside, or when the whole interval lies within ± the margin; a cell stops when
all of its primaries are, or at its last item.

The 5 % of error are shared out before the run: 0.05/m to each of m primaries (Bonferroni, since p-values of Holm's
steps would need a fixed n), and of that a half is kept for the judge's calibration where a judge that errs decides
the verdict. Fixed-n p-values of such a cell are withheld; its missing verdicts may have been anything.

Example: ``sequential: {margin: 0.05}`` in a study file with primaries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trueline.core.measure import Metric
from trueline.core.statistics import change_sequence
from trueline.core.verdicts import Item, Verdict

from .drawing import ALPHA, DrawOrder, state_of, value_of
from .plan import Cell, Plan
from .selection import CONTROL
from .store import Store

LOOK = 25  # clusters between two looks; looking oftener costs no error, only time


@dataclass(frozen=True, kw_only=True)
class Change:
    """One primary's change at the last look. ``state`` says what is decided; ``items`` of ``of`` were asked."""

    value: float | None
    low: float
    high: float
    level: float
    state: str  # "changed", "within the margin" or "open"
    items: int
    of: int
    clusters: int
    missing: int


class Looks:
    """The looks at one cell: which items come when, and whether its primaries are decided."""

    def __init__(
        self,
        items: Sequence[Item],
        metrics: Sequence[Metric],
        before: Sequence[Verdict],
        *,
        margin: float,
        levels: Mapping[str, float],
        seed: int = 0,
    ) -> None:
        self.metrics, self.margin, self.levels = metrics, margin, levels
        self._before = {verdict.item: verdict for verdict in before}
        self._items = {item.id: item for item in items if item.group != CONTROL}
        self._order = DrawOrder(items, seed=seed)
        self._controls = [item for item in items if item.group == CONTROL]

    @property
    def ready(self) -> bool:
        """Whether the baseline has a verdict on everything that may be asked."""
        return self._items.keys() <= self._before.keys()

    def batches(self) -> list[list[Item]]:
        """The items between two looks, the controls with the first."""
        names, members = self._order.names, self._order.members
        found = [
            [self._items[item] for name in names[at : at + LOOK] for item, _ in members[name]]
            for at in range(0, len(names), LOOK)
        ]
        return [[*self._controls, *found[0]], *found[1:]] if found else [self._controls]

    def look(self, verdicts: Mapping[str, Verdict], batches: int) -> dict[str, Change]:
        """Each primary's change after so many batches, whose verdicts are given by item."""
        return {metric.name: self._change(metric, verdicts, batches * LOOK) for metric in self.metrics}

    def _change(self, metric: Metric, verdicts: Mapping[str, Verdict], drawn: int) -> Change:
        whole_set, drawn_set = self._order.counted(metric), self._order.counted(metric, drawn)
        asked = [(name, item) for name, members in drawn_set.clusters for item in members]
        of, level = whole_set.items, self.levels[metric.name]
        before = np.array([value_of(metric, self._before.get(item)) for _, item in asked])
        after = np.array([value_of(metric, verdicts.get(item)) for _, item in asked])
        whole = ~np.isnan(before) & ~np.isnan(after)
        width = metric.bounds[1] - metric.bounds[0]
        low, high = -width, width
        if asked:
            found = change_sequence(
                before,
                after,
                [name for name, _ in asked],
                items=of,
                population=len(whole_set.clusters),
                largest=whole_set.largest,
                bounds=metric.bounds,
                level=level,
            )
            low, high = float(found.low[-1]), float(found.high[-1])
        return Change(
            value=float((after - before)[whole].mean()) if whole.any() else None,
            low=low,
            high=high,
            level=level,
            state=state_of(low, high, self.margin * width),
            items=len(asked),
            of=of,
            clusters=len({name for name, _ in asked}),
            missing=int((~whole).sum()),
        )


def decided(changes: Mapping[str, Change]) -> bool:
    """Whether no primary is open."""
    return all(change.state != "open" for change in changes.values())


def sequential_state(changes: Mapping[str, Change], planned: int, asked: int) -> dict[str, Any]:
    """What the store keeps of a cell that was followed; ``planned`` items count as all once it is decided."""
    return {
        "planned": asked if decided(changes) else planned,
        "of": planned,
        "changes": {name: asdict(change) for name, change in changes.items()},
    }


def level_of(metric: Metric, judges: Mapping[str, Mapping[str, Any]], primaries: int) -> float:
    """The confidence level of a primary's sequence: 1 − 0.05/m; a half of the error is kept where a judge errs."""
    judge = judges.get(metric.judged_by)
    return 1 - ALPHA / primaries / (2 if judge is not None and not judge["exact"] else 1)


def looks_of(plan: Plan, cell: Cell, store: Store, judges: Mapping[str, Mapping[str, Any]]) -> Looks | None:
    """How a cell is followed; None for a cell without primaries, which is asked everything."""
    if plan.spec.sequential is None or cell.arm.is_baseline:
        return None
    named = {
        p.metric
        for p in plan.primary
        if (p.arm, p.measure, p.attack) == (cell.arm.label, cell.measure.name, cell.attack.name)
    }
    metrics = [metric for metric in plan.measure(cell).metrics if metric.name in named]
    places = ((c, c.arm.label, c.measure.key, c.attack) for c in plan.cells)
    wanted = (cell.arm.baseline, cell.measure.key, cell.attack)
    baseline = next((c for c, *place in places if tuple(place) == wanted), None)
    if not metrics or baseline is None:
        return None
    return Looks(
        plan.items(cell),
        metrics,
        [row.verdict for row in store.verdicts(baseline.key).values()],
        margin=plan.spec.sequential.margin,
        levels={metric.name: level_of(metric, judges, len(plan.primary)) for metric in metrics},
        seed=cell.arm.seed,
    )
