"""How far a method at one strength moved one metric from the untreated model.

Two estimands are kept apart. *This checkpoint*: the mean of the arms' own errors over items. *This method*: seeds and
items crossed on each unseen world (:func:`~trueline.core.statistics.method_estimate`), then the mean over the worlds,
which are taken as fixed. A metric that is no mean of verdicts has seeds alone. A claim about a method needs five seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from trueline.core.measure import Metric
from trueline.core.statistics import MethodEstimate, method_estimate
from trueline.core.statistics.arrays import Floats, t_quantile
from trueline.core.verdicts import Estimate, Verdict
from trueline.studies.results import ArmResult, CellResult, StudyResults
from trueline.studies.selection import CONTROL

CLAIM_SEEDS = 5
Ends = tuple[float, float | None, float | None]  # value, low and high; no ends with one seed
Table = tuple[Floats, list[str]]  # differences [seeds, items], and the items' clusters


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A metric of the comparison."""

    measure: str
    metric: str
    attack: str
    definition: Metric
    component: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Measure, metric and attack."""
        return self.measure, self.metric, self.attack

    @property
    def title(self) -> str:
        """What tables call it."""
        under = "" if self.attack == "direct" else f" + {self.attack.replace('_', ' ')}"
        return f"{self.measure}{under}: {self.metric.replace('_', ' ')}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A paired change from the untreated model over seeds and worlds.

    ``value`` ± (``low``, ``high``) is for new seeds and new items; ``error_items`` is the mean error of one
    checkpoint over items, ``spread_seeds`` the standard deviation between seeds. ``low`` is None with one seed.
    ``missing`` is the share of pairs of verdicts that could not be had; they are in none of these.
    """

    level: float
    value: float
    low: float | None
    high: float | None
    error_items: float | None
    spread_seeds: float | None
    seeds: int
    missing: float = 0.0
    uninformative: bool = False

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero with enough seeds for a claim."""
        if self.low is None or self.high is None or self.seeds < CLAIM_SEEDS or self.uninformative:
            return False
        return self.low > 0 or self.high < 0


class Verdicts:
    """The verdicts of cells by arm, measure and attack, read once."""

    def __init__(self, results: StudyResults) -> None:
        self._results = results
        self._found: dict[tuple[str, str, str], dict[str, Verdict]] = {}

    def of(self, arm: str, measure: str, attack: str) -> Mapping[str, Verdict]:
        """The verdicts of one cell by item; none where the study has no such cell."""
        key = (arm, measure, attack)
        if key not in self._found:
            cell = self._results.cell(arm, measure, attack)
            stored = {} if cell is None else self._results.store.verdicts(cell.key)
            self._found[key] = {s.verdict.item: s.verdict for s in stored.values()}
        return self._found[key]


def change_of(
    results: StudyResults, verdicts: Verdicts, arms: Sequence[ArmResult], axis: Axis
) -> Change | None:
    """The change over ``arms``, one a seed and world; None where no arm has one."""
    done = _done(results, arms, axis)
    if not done:
        return None
    values = [change.value for _, _, _, change in done if change.value is not None]
    levels = [level.value for _, _, level, _ in done if level.value is not None]
    errors = [
        (change.high - change.low) / 3.92
        for _, _, _, change in done
        if change.low is not None and change.high is not None
    ]
    tables = _by_world(verdicts, [arm for arm, _, _, _ in done], axis)
    estimates = _estimates(tables)
    ends = _over_worlds(estimates) if estimates else _over_seeds(values)
    value, low, high = possible(ends, axis.definition.bounds)
    return Change(
        level=float(np.mean(levels)) if levels else nan,
        value=value,
        low=low,
        high=high,
        error_items=float(np.mean(errors)) if errors else None,
        spread_seeds=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        seeds=len({arm.seed for arm, _, _, _ in done}),
        missing=float(np.mean(np.concatenate([np.isnan(t).ravel() for t, _ in tables]))) if tables else 0.0,
        uninformative=any(cell.uninformative for _, cell, _, _ in done),
    )


def possible(ends: Ends, bounds: tuple[float, float]) -> Ends:
    """A change with its interval cut to what a metric of these bounds can change by: t intervals know no bounds."""
    width, (value, low, high) = bounds[1] - bounds[0], ends
    return value, None if low is None else max(low, -width), None if high is None else min(high, width)


def _done(
    results: StudyResults, arms: Sequence[ArmResult], axis: Axis
) -> list[tuple[ArmResult, CellResult, Estimate, Estimate]]:
    """Each arm that has a change of the metric, with its cell, level and change."""
    done = []
    for arm in arms:
        cell = results.cell(arm.label, axis.measure, axis.attack)
        result = cell.metrics.get(axis.metric) if cell is not None else None
        if (
            cell is not None
            and result is not None
            and result.change is not None
            and result.change.value is not None
        ):
            done.append((arm, cell, result.estimate, result.change))
    return done


def _over_worlds(estimates: Sequence[MethodEstimate]) -> Ends:
    """The mean over the worlds, on Satterthwaite's degrees of freedom."""
    value = float(np.mean([e.value for e in estimates]))
    variance = sum(e.se**2 for e in estimates) / len(estimates) ** 2
    spread = sum(e.se**4 / e.df for e in estimates)
    df = sum(e.se**2 for e in estimates) ** 2 / spread if spread > 0 else estimates[0].df
    half = t_quantile(0.95, df) * variance**0.5
    return value, value - half, value + half


def _over_seeds(values: Sequence[float]) -> Ends:
    """The mean of the arms' own changes, with the spread of seeds alone."""
    value = float(np.mean(values))
    if len(values) < 2:
        return value, None, None
    half = t_quantile(0.95, len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return value, value - half, value + half


def _by_world(verdicts: Verdicts, arms: Sequence[ArmResult], axis: Axis) -> list[Table]:
    """The differences on each world; empty where the metric is no mean of verdicts."""
    if axis.definition.kind == "statistic":
        return []
    worlds = dict.fromkeys(arm.target for arm in arms)
    tables = (_table(verdicts, [arm for arm in arms if arm.target == world], axis) for world in worlds)
    return [table for table in tables if table[1]]


def _estimates(tables: Sequence[Table]) -> list[MethodEstimate]:
    """Crossed estimates, one a world; empty where one of them has too few seeds or clusters, or a seed no score."""
    for differences, clusters in tables:
        there = ~np.isnan(differences)
        examined = {clusters[item] for item in np.flatnonzero(there.any(axis=0))}
        if len(differences) < 2 or len(examined) < 2 or not there.any(axis=1).all():
            return []
    return [method_estimate(differences, clusters) for differences, clusters in tables]


def _table(verdicts: Verdicts, arms: Sequence[ArmResult], axis: Axis) -> Table:
    """Differences [seeds, items] from the untreated arm, NaN where either verdict is missing; and the items'
    clusters."""
    field = axis.definition.field or axis.definition.name
    sides = [
        (
            verdicts.of(arm.baseline, axis.measure, axis.attack),
            verdicts.of(arm.label, axis.measure, axis.attack),
        )
        for arm in arms
    ]
    asked = {
        item: verdict.cluster or item
        for pair in sides
        for side in pair
        for item, verdict in side.items()
        if axis.definition.applies(verdict.group) and (axis.definition.groups or verdict.group != CONTROL)
    }

    def value(side: Mapping[str, Verdict], item: str) -> float:
        return side[item].values.get(field, nan) if item in side else nan

    rows = np.array([[value(after, i) - value(before, i) for i in asked] for before, after in sides])
    return rows, list(asked.values())
