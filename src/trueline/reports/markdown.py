"""The headline table of a study as Markdown, for docs and pull requests."""

from dataclasses import replace

from trueline.studies.results import CellResult, StudyResults

from . import words

LEGEND = (
    "Value [95 % interval]; below it the paired change from the first column. Shares in %. In brackets: "
    "uninformative (the target is at chance, or cannot do the simplest thing it is asked). Bold: the change "
    "survives the correction for multiple comparisons."
)


def headline_table(results: StudyResults) -> str:
    """One row a measure and attack, one column an arm; arms of the size curve are left out."""
    arms = [arm.label for arm in results.arms if arm.role == "treatment"]
    lines = [f"| measure | {' | '.join(arms)} |", "| --- |" + " --- |" * len(arms)]
    places = dict.fromkeys((cell.measure, cell.attack) for cell in results.cells if cell.arm in arms)
    for measure, attack in places:
        row = [results.cell(arm, measure, attack) for arm in arms]
        head = next((cell.headline for cell in row if cell is not None and cell.headline), None)
        name = measure if attack == "direct" else f"{measure} + {attack.replace('_', ' ')}"
        metric = "" if head is None else f": {head.metric.name.replace('_', ' ')}"
        lines.append(f"| {name}{metric} | {' | '.join(_entry(cell) for cell in row)} |")
    heads = [replace(c, metrics={c.headline.metric.name: c.headline}) for c in results.cells if c.headline]
    notes = [f"- {line}" for line in words.corrections(heads)]
    return "\n".join([*lines, "", LEGEND, *(["", *notes] if notes else []), ""])


def _entry(cell: CellResult | None) -> str:
    if cell is None:
        return ""
    if cell.reason is not None:
        return f"not measurable: {cell.reason}"
    result = cell.headline
    if result is None:
        return "not run"
    value = words.interval(result.metric, result.estimate)
    if cell.uninformative:
        value = f"({value})"
    if result.change is None or result.change.value is None:
        return value
    change = words.interval(result.metric, result.change, signed=True)
    shown = result.effect != "unclear" and not cell.uninformative
    return f"{value}<br>{f'**{change}**' if shown else change}"
