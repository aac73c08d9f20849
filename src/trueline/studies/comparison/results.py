"""What a comparison says: each method at each strength over seeds and worlds, with errors over items and seeds apart.

Two estimands are kept apart. *This checkpoint*: the mean of the arms' own errors over items. *This method*: seeds and
items crossed on each unseen world (:func:`method_estimate`), then the mean over the worlds, which are taken as fixed.
A claim about a method needs five seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.statistics import ConfidenceSet, MethodEstimate, confidence_set, method_estimate
from trueline.core.statistics.arrays import Floats, t_quantile
from trueline.core.verdicts import Verdict
from trueline.studies.arms import shown
from trueline.studies.results import ArmResult, StudyResults, read_results
from trueline.studies.selection import CONTROL

from .run import EVALUATION, read_record
from .spec import ComparisonSpec, MethodSpec

KL = ("divergence", "kl", "direct")
CLAIM_SEEDS = 5
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


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method at one strength."""

    method: str
    strength: str
    parameters: Mapping[str, Any]
    changes: Mapping[Axis, Change]
    kl: float | None
    costs: Mapping[str, float]
    arms: int

    @property
    def title(self) -> str:
        """Method and strength."""
        return f"{self.method} {self.strength}".strip()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that the comparison's report shows."""

    spec: ComparisonSpec
    axes: Sequence[Axis]
    rows: Sequence[Row]
    untreated: Mapping[Axis, float]
    trials: Mapping[str, Sequence[Mapping[str, Any]]]
    chosen: Mapping[str, Mapping[str, Any]]
    best: Sequence[str] | None
    best_axis: Axis | None
    complete: bool

    def row(self, title: str) -> Row | None:
        """A row by its title."""
        return next((row for row in self.rows if row.title == title), None)


def read_comparison_results(out: Path, *, replicates: int = 200) -> Comparison:
    """The comparison in a folder, finished or not. Raises InputError where there is none."""
    record = read_record(out)
    if record is None:
        raise InputError(
            f"{str(out)!r} holds no comparison: run trueline study run on a comparison file first."
        )
    spec = ComparisonSpec.model_validate(record["spec"])
    results = read_results(out / EVALUATION, replicates=replicates)
    verdicts = _Verdicts(results)
    axes = _axes(results)
    rows = [row for method in spec.methods for row in _rows(spec, method, record, results, verdicts, axes)]
    best_axis = next(
        (a for a in axes if (a.measure, a.metric) == (spec.select.measure, spec.select.metric)), None
    )
    return Comparison(
        spec=spec,
        axes=axes,
        rows=rows,
        untreated={axis: _untreated(results, axis) for axis in axes},
        trials=record["trials"],
        chosen=record["chosen"],
        best=_best(results, verdicts, rows, spec, best_axis) if best_axis else None,
        best_axis=best_axis,
        complete=results.complete,
    )


class _Verdicts:
    """The verdicts of cells by arm, measure and attack, read once."""

    def __init__(self, results: StudyResults) -> None:
        self._results = results
        self._found: dict[tuple[str, str, str], dict[str, Verdict]] = {}

    def of(self, arm: str, measure: str, attack: str) -> Mapping[str, Verdict]:
        key = (arm, measure, attack)
        if key not in self._found:
            cell = self._results.cell(arm, measure, attack)
            stored = {} if cell is None else self._results.store.verdicts(cell.key)
            self._found[key] = {s.verdict.item: s.verdict for s in stored.values()}
        return self._found[key]


def _axes(results: StudyResults) -> list[Axis]:
    """The headline metrics, in the plan's order."""
    axes: dict[tuple[str, str, str], Axis] = {}
    for cell in results.cells:
        for name, result in cell.metrics.items():
            if result.metric.headline:
                axes[cell.measure, name, cell.attack] = Axis(
                    measure=cell.measure,
                    metric=name,
                    attack=cell.attack,
                    definition=result.metric,
                    component=cell.component,
                )
    judged = {(axis.measure, axis.attack) for axis in axes.values() if axis.metric == "harmful_compliance"}
    # where harm itself is judged, not refusing says nothing more
    return [a for a in axes.values() if a.metric != "non_refusal" or (a.measure, a.attack) not in judged]


def _varying(method: MethodSpec, level: Mapping[str, Any]) -> str:
    """A strength in words: of a setting with several parts, those that differ between the levels."""
    parts = []
    for name, value in level.items():
        if isinstance(value, Mapping):
            others = [other[name] for other in method.levels]
            parts += [f"{k} {shown(v)}" for k, v in value.items() if any(o.get(k) != v for o in others)]
        else:
            parts.append(f"{name} {shown(value)}")
    return " ".join(parts)


def _rows(
    spec: ComparisonSpec,
    method: MethodSpec,
    record: Mapping[str, Any],
    results: StudyResults,
    verdicts: _Verdicts,
    axes: Sequence[Axis],
) -> list[Row]:
    rows = []
    fixed = {**spec.parameters(method), **record["chosen"].get(method.title, {})}
    for level in method.levels:
        wanted = {**fixed, **level}
        arms = [
            arm
            for arm in results.arms
            if arm.treatment == method.name
            and dict(arm.parameters) == wanted
            and f"{method.title} " in f"{arm.label.split(': ')[-1]} "
        ]
        if not arms:
            continue
        changes = {}
        for axis in axes:
            change = _change(results, verdicts, arms, axis)
            if change is not None:
                changes[axis] = change
        kl = [c.estimate.value for c in _cells(results, arms, KL) if c.estimate.value is not None]
        rows.append(
            Row(
                method=method.title,
                strength=_varying(method, level),
                parameters=wanted,
                changes=changes,
                kl=sum(kl) / len(kl) if kl else None,
                costs=_costs(arms),
                arms=len(arms),
            )
        )
    return rows


def _cells(results: StudyResults, arms: Sequence[ArmResult], place: tuple[str, str, str]) -> list[Any]:
    measure, metric, attack = place
    cells = [results.cell(arm.label, measure, attack) for arm in arms]
    return [cell.metrics[metric] for cell in cells if cell is not None and metric in cell.metrics]


def _costs(arms: Sequence[ArmResult]) -> dict[str, float]:
    """Mean training cost of an arm, and its seconds of measuring."""
    names = ("tokens", "flops", "seconds", "steps")
    found = {name: float(np.mean([float(arm.training.get(name, 0.0)) for arm in arms])) for name in names}
    return {**found, "measuring": float(np.mean([arm.seconds for arm in arms]))}


def _change(
    results: StudyResults, verdicts: _Verdicts, arms: Sequence[ArmResult], axis: Axis
) -> Change | None:
    done = [
        (arm, cell, cell.metrics[axis.metric])
        for arm in arms
        if (cell := results.cell(arm.label, axis.measure, axis.attack)) is not None
        and axis.metric in cell.metrics
        and cell.metrics[axis.metric].change is not None
        and cell.metrics[axis.metric].change.value is not None  # type: ignore[union-attr]
    ]
    if not done:
        return None
    values = [float(result.change.value) for _, _, result in done]  # type: ignore[union-attr, arg-type]
    levels = [result.estimate.value for _, _, result in done if result.estimate.value is not None]
    halves = [
        (result.change.high - result.change.low) / 3.92  # type: ignore[union-attr, operator]
        for _, _, result in done
        if result.change is not None and result.change.low is not None and result.change.high is not None
    ]
    tables = _by_world(verdicts, [arm for arm, _, _ in done], axis)
    estimates = _estimates(tables)
    low = high = None
    if estimates:
        value = float(np.mean([e.value for e in estimates]))
        variance = sum(e.se**2 for e in estimates) / len(estimates) ** 2
        spread = sum(e.se**4 / e.df for e in estimates)
        df = sum(e.se**2 for e in estimates) ** 2 / spread if spread > 0 else estimates[0].df
        half = t_quantile(0.95, df) * variance**0.5
        low, high = value - half, value + half
    else:
        value = float(np.mean(values))
        if len(values) > 1:  # not a mean of verdicts: seeds alone
            half = t_quantile(0.95, len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
            low, high = value - half, value + half
    return Change(
        level=float(np.mean(levels)) if levels else float("nan"),
        value=value,
        low=low,
        high=high,
        error_items=float(np.mean(halves)) if halves else None,
        spread_seeds=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        seeds=len({arm.seed for arm, _, _ in done}),
        missing=float(np.mean(np.concatenate([np.isnan(t).ravel() for t, _ in tables]))) if tables else 0.0,
        uninformative=any(cell.uninformative for _, cell, _ in done),
    )


def _by_world(verdicts: _Verdicts, arms: Sequence[ArmResult], axis: Axis) -> list[Table]:
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


def _table(verdicts: _Verdicts, arms: Sequence[ArmResult], axis: Axis) -> Table:
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


def _untreated(results: StudyResults, axis: Axis) -> float:
    values = [
        cell.metrics[axis.metric].estimate.value
        for arm in results.arms
        if arm.label == arm.baseline
        and (cell := results.cell(arm.label, axis.measure, axis.attack)) is not None
        and axis.metric in cell.metrics
    ]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def _best(
    results: StudyResults, verdicts: _Verdicts, rows: Sequence[Row], spec: ComparisonSpec, axis: Axis
) -> list[str] | None:
    """Titles of the rows that may be the best on an axis, by a model confidence set over items of all worlds."""
    if axis.definition.kind == "statistic":
        return None
    sign = 1.0 if axis.definition.worse == "higher" else -1.0
    columns, clusters, kept = [], None, []
    for row in rows:
        means: dict[str, list[float]] = {}
        place: dict[str, str] = {}
        for arm in results.arms:
            if arm.treatment not in {m.name for m in spec.methods if m.title == row.method}:
                continue
            if dict(arm.parameters) != dict(row.parameters):
                continue
            for item, verdict in verdicts.of(arm.label, axis.measure, axis.attack).items():
                field = axis.definition.field or axis.definition.name
                if field in verdict.values:
                    means.setdefault(f"{arm.target}/{item}", []).append(verdict.values[field])
                    place[f"{arm.target}/{item}"] = f"{arm.target}/{verdict.cluster}"
        columns.append({item: sign * sum(v) / len(v) for item, v in means.items()})
        clusters = place if clusters is None else {k: v for k, v in clusters.items() if k in place}
        kept.append(row.title)
    if not columns or not clusters or len(columns) < 2:
        return None
    items = sorted(clusters)
    losses = np.asarray([[column[item] for column in columns] for item in items])
    found: ConfidenceSet = confidence_set(losses, [clusters[item] for item in items])
    return [kept[i] for i in found.members]


def at_equal(rows: Sequence[Row], axis: Axis, position: Any, level: float) -> float | None:
    """A method's value on ``axis`` where its ``position`` (a function of a row) equals ``level``: linear between the
    strengths that lie around it, None where they do not reach it (nothing is extrapolated)."""
    points = sorted(
        (position(row), row.changes[axis].level)
        for row in rows
        if axis in row.changes and position(row) is not None
    )
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= level <= x1:
            return y0 if x1 == x0 else y0 + (y1 - y0) * (level - x0) / (x1 - x0)
    return None
