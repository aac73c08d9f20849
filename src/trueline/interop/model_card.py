"""A model card in Markdown with the hub's evaluation results: one arm of a study, every number with its interval.

The metadata is the ``model-index`` of huggingface_hub's ``EvalResult``: the value as a number, and interval, n,
missing and p as the metric's ``args``, since the format has no field of their own for them.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError, unknown_name
from trueline.core.fingerprint import canonical
from trueline.core.measure import Metric
from trueline.core.verdicts import Estimate
from trueline.reports import words
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import ArmResult, CellResult, StudyResults

FILE = "README.md"
TASK = "text-generation"


def write_model_card(results: StudyResults, folder: Path, arm: str | None = None) -> list[Path]:
    """Write the card of one arm; returns its path in a list.

    Raises:
        InputError: the study has several arms and none, or an unknown one, is named.
    """
    path = folder / FILE
    path.write_text(model_card(results, arm), encoding="utf-8")
    return [path]


def model_card(results: StudyResults, arm: str | None = None) -> str:
    """The card of one arm as text."""
    from huggingface_hub import ModelCardData

    chosen = _arm(results, arm)
    cells = [cell for cell in results.cells if cell.arm == chosen.label]
    data = ModelCardData(
        model_name=chosen.target,
        pipeline_tag=TASK,
        tags=["trueline"],
        eval_results=list(_eval_results(results, chosen, cells)) or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_body(results, chosen, cells)}"


def _arm(results: StudyResults, arm: str | None) -> ArmResult:
    arms = {entry.label: entry for entry in results.arms}
    if arm is None and len(arms) == 1:
        return next(iter(arms.values()))
    if arm is None:
        raise InputError(f"a model card is of one arm; name it with --arm: {', '.join(map(repr, arms))}.")
    if arm not in arms:
        raise unknown_name("arm of this study", arm, arms)
    return arms[arm]


def _eval_results(results: StudyResults, arm: ArmResult, cells: list[CellResult]) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    for cell in cells:
        items = f"{arm.target}: {canonical({'name': cell.measure, **cell.parameters})}"
        digest = results.plan.get("data", {}).get(items, {}).get("digest")
        for result in cell.metrics.values():
            if result.estimate.value is None:
                continue  # the metadata has no value for what is undefined; the table below says so
            yield EvalResult(
                task_type=TASK,
                task_name=cell.title,
                dataset_type=cell.measure,
                dataset_name=cell.title,
                dataset_config=cell.attack,
                dataset_revision=digest,
                dataset_args=dict(cell.parameters) or None,
                metric_type=result.metric.name,
                metric_name=result.metric.definition,
                metric_value=result.estimate.value,
                metric_args=_args(cell, result),
            )


def _args(cell: CellResult, result: MetricResult) -> dict[str, Any]:
    args: dict[str, Any] = {key: v for key, v in asdict(result.estimate).items() if key != "value"}
    args |= {"worse": result.metric.worse, "floor": result.metric.floor}
    if result.correction:
        args["judge"] = result.correction
    if cell.uninformative:
        args["uninformative"] = cell.uninformative
    if result.change is not None:
        args["change"] = {**asdict(result.change), "p_adjusted": result.p_adjusted, "effect": result.effect}
    return args


def _body(results: StudyResults, arm: ArmResult, cells: list[CellResult]) -> str:
    baseline = arm.label != arm.baseline
    lines = [
        f"# {arm.target}: what Trueline measured",
        "",
        f"Study *{results.name}*, arm *{arm.label}*"
        + (f", changes paired against *{arm.baseline}*" if baseline else "")
        + f". Fingerprint `{arm.provenance.get('fingerprint', 'not made yet')}`, plan `{results.plan.get('hash')}`, "
        + f"Trueline {results.versions.get('trueline', '')}.",
        "",
        "Shares in %. Brackets hold 95 % intervals; *missing* are verdicts that failed, and the bounds that they "
        "allow. A value in round brackets says nothing: the target is at chance, or cannot do the simplest thing.",
        "",
        "| measure | metric | value | n | missing | bounds | change | p, corrected | judge |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [line for cell in cells for line in _rows(cell)]
    lines += ["", "## What these numbers must not be taken to mean", ""]
    lines += [f"- **{cell.title}**: {cell.caution}" for cell in _once(cells)]
    silent = [f"- **{cell.title}** ({cell.attack}): {why}" for cell in cells if (why := _silent(cell))]
    if silent:
        lines += ["", "## What says nothing", "", *silent]
    return "\n".join(lines) + "\n"


def _rows(cell: CellResult) -> Iterator[str]:
    name = cell.title if cell.attack == "direct" else f"{cell.title} + {cell.attack}"
    for result in cell.metrics.values():
        value = words.interval(result.metric, result.estimate)
        change = "" if result.change is None else words.interval(result.metric, result.change, signed=True)
        p = "" if result.p_adjusted is None else f"{result.p_adjusted:.3g}"
        row = (
            _escaped(name),
            f"{result.metric.name} {_arrow(result.metric)}",
            f"({value})" if cell.uninformative else value,
            str(result.estimate.n),
            str(result.estimate.missing),
            _bounds(result.metric, result.estimate),
            change,
            p,
            _escaped(result.correction),
        )
        yield f"| {' | '.join(row)} |"


def _arrow(metric: Metric) -> str:
    return {"higher": "(lower is better)", "lower": "(higher is better)", "neither": ""}[metric.worse]


def _bounds(metric: Metric, estimate: Estimate) -> str:
    if not estimate.missing or estimate.bound_low is None:
        return ""
    low, high = (words.number(metric, end) for end in (estimate.bound_low, estimate.bound_high))
    return f"{low} to {high}"


def _silent(cell: CellResult) -> str | None:
    if cell.reason is not None:
        return f"not measurable: {cell.reason}"
    if cell.state != "done":
        return f"unfinished: {cell.done} of {cell.planned} items"
    return cell.uninformative


def _once(cells: list[CellResult]) -> list[CellResult]:
    return list({cell.measure: cell for cell in cells}.values())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
