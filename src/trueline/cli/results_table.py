"""What a study found, for the terminal: intervals where there is room for them, and why verdicts are missing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trueline.reports.words import MARKS, corrections, interval, number, reasons, summary
from trueline.studies.forgetting import forgetting
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import CellResult, StudyResults
from trueline.studies.scaling import scale_curves, told_of_capability, tracking_words

from .tables import FIRST_COLUMN, new_table

MARKED = "▲ better, ▼ worse, ◆ changed than the first column, after correction"
BRACKETS = "shares in %; [95 % interval]; (uninformative); n/m not measurable"
MARKED_VALUE = 7  # characters of the widest usual value, such as (100.0)
NOTES = 12  # cells whose missing verdicts are told; the report tells all


def results_table(results: StudyResults, console: Console) -> None:
    """Headline metrics: with their intervals for one arm, with paired changes for two, else values; then why
    verdicts are missing, how judges were corrected, what was lost. Models of a size curve have their own table."""
    treated = [arm.label for arm in results.arms if arm.role == "treatment"]
    if len(treated) == 1:
        console.print(_one_arm(results, treated[0]))
    elif len(treated) == 2 and results.arms[1].baseline == treated[0]:
        console.print(_two_arms(results, treated[0], treated[1]))
    else:
        _values(results, "treatment", results.name, console)
    console.print()
    _values(results, "size", "scale: the same measures against model size", console)
    legend = BRACKETS if len(treated) == 1 else f"{MARKED} · {BRACKETS}"
    console.print(f"[dim]{escape(legend)}[/dim]")
    for line in _lacking(results):
        console.print(escape(line), highlight=False)
    headlines = [
        replace(cell, metrics={result.metric.name: result for result in _headlines(cell)})
        for cell in results.cells
    ]
    for line in corrections(headlines):
        console.print(f"[dim]{escape(line)}[/dim]", highlight=False)
    for line in tracking_words(told_of_capability(results)):
        console.print(f"[dim]{escape(line)}[/dim]", highlight=False)
    for arm in forgetting(results):
        for line in arm.told:
            console.print(escape(line), highlight=False)


def _one_arm(results: StudyResults, arm: str) -> Table:
    """Every headline metric with its interval, n and missing verdicts."""
    table = new_table("measure", "value [95 %]", "n", "missing", title=results.name)
    component = None
    for cell in results.cells:
        if cell.arm != arm:
            continue
        if cell.component != component:
            component = cell.component
            table.add_row(f"[bold cyan]{component}[/]")
        if cell.headline is None or cell.state in ("empty", "not measurable"):
            table.add_row(_row_name(cell, cell.headline), summary(cell))
        for result in _headlines(cell):
            value = _bracketed(cell, interval(result.metric, result.estimate))
            counts = (str(result.estimate.n), str(result.estimate.missing))
            table.add_row(_row_name(cell, result), escape(value), *counts)
    return table


def _two_arms(results: StudyResults, before: str, after: str) -> Table:
    """Every headline metric of both arms with the paired change, its interval and its corrected p-value."""
    table = new_table(
        "measure",
        before.replace("_", " "),
        after.replace("_", " "),
        "change [95 %]",
        "p adj.",
        title=results.name,
    )
    component = None
    for cell in results.cells:
        if cell.arm != after:
            continue
        if cell.component != component:
            component = cell.component
            table.add_row(f"[bold cyan]{component}[/]")
        first = results.cell(before, cell.measure, cell.attack)
        if cell.headline is None or cell.state in ("empty", "not measurable"):
            table.add_row(_row_name(cell, cell.headline), summary(first), summary(cell))
            continue
        for result in _headlines(cell):
            metric, change = result.metric, result.change
            old = first.metrics.get(metric.name) if first is not None else None
            was = "" if first is None else summary(first) if old is None else _value(first, old)
            p = "" if result.p_adjusted is None else f"{result.p_adjusted:.2g}"
            paired = "" if change is None else interval(metric, change, signed=True)
            table.add_row(_row_name(cell, result), was, _value(cell, result), escape(paired), p)
    return table


def _headlines(cell: CellResult) -> list[MetricResult]:
    """The metrics that stand for the measure: those marked so, else the first."""
    if cell.headline is None or cell.state in ("empty", "not measurable"):
        return []
    return [result for result in cell.metrics.values() if result.metric.headline] or [cell.headline]


def _value(cell: CellResult, result: MetricResult) -> str:
    return _bracketed(cell, number(result.metric, result.estimate.value), MARKS[result.effect])


def _bracketed(cell: CellResult, text: str, mark: str = "") -> str:
    if cell.uninformative:
        return f"({text})"
    return f"{text}{mark}" if cell.state == "done" else f"{text}{mark}…"


def _values(results: StudyResults, role: str, title: str, console: Console) -> None:
    """Headline values: a row a measure and attack, a column an arm."""
    arms = [arm for arm in results.arms if arm.role == role]
    cells = [cell for cell in results.cells if cell.arm in {arm.label for arm in arms}]
    if not cells:
        return
    labels = [arm.label.removeprefix("size: ").replace("_", " ") for arm in arms]
    headers = _headers(labels, console.width)
    table = new_table("measure", *headers, title=title)
    component = None
    for measure, attack in dict.fromkeys((cell.measure, cell.attack) for cell in cells):
        row = [results.cell(arm.label, measure, attack) for arm in arms]
        first = next(cell for cell in row if cell is not None)
        if first.component != component:
            component = first.component
            table.add_row(f"[bold cyan]{component}[/]")
        table.add_row(_row_name(first, first.headline), *(summary(cell) for cell in row))
    console.print(table)
    if headers != labels:
        named = " · ".join(f"{number} {label}" for number, label in zip(headers, labels))
        console.print(escape(named), highlight=False)
    if role == "size":
        _scale_words(results, console)
        console.print()


def _lacking(results: StudyResults) -> Iterator[str]:
    """Why cells have no number, or no verdict on some items, or one that says nothing: a line a measure and reason."""
    found: dict[str, list[str]] = {}
    for cell in results.cells:
        name = cell.measure if cell.attack == "direct" else f"{cell.measure} + {cell.attack}"
        if cell.reason is not None:
            found.setdefault(f"{name}: not measurable: {cell.reason}", []).append(cell.arm)
        if cell.missing:
            line = f"{name}: no verdict on {cell.missing} of {cell.done}: {reasons(cell.reasons)}"
            found.setdefault(line, []).append(cell.arm)
        if cell.uninformative:
            found.setdefault(f"{name}: {cell.uninformative}", []).append(cell.arm)
    told_of = (f" ({', '.join(arms)})" if len(results.arms) > 1 else "" for arms in found.values())
    lines = [line + arms for line, arms in zip(found, told_of)]
    yield from lines[:NOTES]
    if len(lines) > NOTES:
        yield f"… and {len(lines) - NOTES} more such lines, in the report."


def _scale_words(results: StudyResults, console: Console) -> None:
    """What the curves say, but for the reason why there is no law, which is said once."""
    curves = scale_curves(results)
    for curve in curves:
        for line in curve.told:
            if not line.startswith("no law"):
                console.print(f"{curve.measure}: {escape(line)}", highlight=False)
    for line in dict.fromkeys(f"no law: {curve.no_law}" for curve in curves if curve.no_law):
        console.print(f"[dim]{escape(line)}[/dim]", highlight=False)


def _headers(labels: Sequence[str], width: int) -> list[str]:
    """The arms' labels where their words fit beside the first column, else numbers (a legend names them)."""
    needed = FIRST_COLUMN + sum(max(MARKED_VALUE, *map(len, label.split())) + 1 for label in labels)
    return list(labels) if needed <= width else [str(number) for number in range(1, len(labels) + 1)]


def _row_name(cell: CellResult, result: MetricResult | None) -> str:
    metric = result.metric.name.replace("_", " ") if result else ""
    attack = "" if cell.attack == "direct" else f" + {cell.attack.replace('_', ' ')}"
    return escape(f" {cell.measure}{attack}: {metric}")
