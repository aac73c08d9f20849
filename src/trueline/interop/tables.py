"""A study as two plain tables: every estimate and every verdict, none without its interval, n and missing count."""

import json
from collections.abc import Iterator
from typing import Any

from trueline.core.verdicts import Estimate
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import ArmResult, CellResult, StudyResults

ESTIMATES: dict[str, type] = {
    "study": str, "arm": str, "baseline": str, "target": str, "treatment": str, "parameters": str, "role": str,
    "seed": int, "measure": str, "measure_parameters": str, "attack": str, "component": str, "state": str,
    "not_measurable": str, "uninformative": str, "planned": int, "done": int, "metric": str, "definition": str,
    "headline": bool, "worse": str, "floor": float, "of": str, "value": float, "low": float, "high": float,
    "interval": str, "n": int, "missing": int, "clusters": int, "bound_low": float, "bound_high": float,
    "p": float, "p_adjusted": float, "family": str, "effect": str, "correction": str, "note": str,
}  # fmt: skip
VERDICTS: dict[str, type] = {
    "study": str, "arm": str, "measure": str, "measure_parameters": str, "attack": str, "seed": int, "item": str,
    "group": str, "cluster": str, "field": str, "value": float, "reason": str, "note": str, "cell": str,
}  # fmt: skip


def estimates(results: StudyResults) -> Iterator[dict[str, Any]]:
    """One row an estimate; ``of`` is ``value``, ``change`` (paired, from the baseline) or ``judge alone``.

    A cell without an estimate has one row too, which says why.
    """
    arms = {arm.label: arm for arm in results.arms}
    for cell in results.cells:
        place = _place(results, arms[cell.arm], cell)
        if not cell.metrics:
            yield {**dict.fromkeys(ESTIMATES), **place}
        for metric in cell.metrics.values():
            for of, estimate in _estimates_of(metric):
                yield {**place, **_metric(metric, of), **_numbers(estimate)}


def verdicts(results: StudyResults) -> Iterator[dict[str, Any]]:
    """One row a value of a verdict; a missing verdict is one row with its ``reason`` and no value."""
    arms = {arm.label: arm for arm in results.arms}
    for cell in results.cells:
        for stored in results.stored[cell.key]:
            verdict = stored.verdict
            place = {
                "study": results.name,
                "arm": cell.arm,
                "measure": cell.measure,
                "measure_parameters": json.dumps(dict(cell.parameters), sort_keys=True),
                "attack": cell.attack,
                "seed": arms[cell.arm].seed,
                "item": verdict.item,
                "group": verdict.group,
                "cluster": verdict.cluster,
                "reason": verdict.reason,
                "note": verdict.note,
                "cell": cell.key,
            }
            for field, value in verdict.values.items() or [(None, None)]:
                yield {**place, "field": field, "value": value}


def _place(results: StudyResults, arm: ArmResult, cell: CellResult) -> dict[str, Any]:
    return {
        "study": results.name,
        "arm": arm.label,
        "baseline": arm.baseline,
        "target": arm.target,
        "treatment": arm.treatment,
        "parameters": json.dumps(dict(arm.parameters), sort_keys=True),
        "role": arm.role,
        "seed": arm.seed,
        "measure": cell.measure,
        "measure_parameters": json.dumps(dict(cell.parameters), sort_keys=True),
        "attack": cell.attack,
        "component": cell.component,
        "state": cell.state,
        "not_measurable": cell.reason,
        "uninformative": cell.uninformative,
        "planned": cell.planned,
        "done": cell.done,
    }


def _estimates_of(result: MetricResult) -> Iterator[tuple[str, Estimate]]:
    yield "value", result.estimate
    if result.change is not None:
        yield "change", result.change
    if result.judged is not None:
        yield "judge alone", result.judged


def _metric(result: MetricResult, of: str) -> dict[str, Any]:
    change = of == "change"
    return {
        "metric": result.metric.name,
        "definition": result.metric.definition,
        "headline": result.metric.headline,
        "worse": result.metric.worse,
        "floor": result.metric.floor,
        "of": of,
        "family": result.family if change else None,
        "p_adjusted": result.p_adjusted if change else None,
        "effect": result.effect if change else None,
        "correction": {"value": result.correction, "change": result.change_correction}.get(of, ""),
    }


def _numbers(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.interval,
        "n": estimate.n,
        "missing": estimate.missing,
        "clusters": estimate.clusters,
        "bound_low": estimate.bound_low,
        "bound_high": estimate.bound_high,
        "p": estimate.p,
        "note": estimate.note,
    }
