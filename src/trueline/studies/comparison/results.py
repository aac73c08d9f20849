"""What a comparison says: every method at every strength, what it changed and cost, and which may be the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trueline.core.errors import InputError
from trueline.core.statistics import ConfidenceSet, confidence_set
from trueline.studies.arms import shown
from trueline.studies.results import ArmResult, StudyResults, read_results

from .changes import Axis, Change, Verdicts, change_of
from .run import EVALUATION, read_record
from .spec import ComparisonSpec, MethodSpec

KL = ("divergence", "kl", "direct")


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
    verdicts = Verdicts(results)
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
    verdicts: Verdicts,
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
            change = change_of(results, verdicts, arms, axis)
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
    results: StudyResults, verdicts: Verdicts, rows: Sequence[Row], spec: ComparisonSpec, axis: Axis
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
