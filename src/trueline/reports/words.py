"""Numbers as people read them; used by the terminal tables and the report."""

import re
from collections.abc import Iterable, Mapping

from trueline.core.measure import Metric
from trueline.core.verdicts import Estimate
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import CellResult

ROUNDING = 1e-7  # what fp32 leaves of a log-probability, and less than anybody reads: it is zero
MARKS = {"better": "▲", "worse": "▼", "changed": "◆", "unclear": ""}


def is_share(metric: Metric) -> bool:
    """Whether the metric is a share of one, shown in per cent."""
    return metric.bounds == (0.0, 1.0)


def number(metric: Metric, value: float | None, *, signed: bool = False) -> str:
    """A value in the metric's own unit: per cent for shares, three significant digits otherwise."""
    if value is None:
        return "–"
    sign = "+" if signed else ""
    value = 0.0 if abs(value) < ROUNDING else value
    if is_share(metric):
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.3g}"


def interval(metric: Metric, estimate: Estimate, *, signed: bool = False) -> str:
    """``value [low, high]``."""
    if estimate.value is None:
        return "no value"
    if estimate.low is None or estimate.high is None:
        return f"{number(metric, estimate.value, signed=signed)} (no interval)"
    low, high = (number(metric, end, signed=signed) for end in (estimate.low, estimate.high))
    return f"{number(metric, estimate.value, signed=signed)} [{low}, {high}]"


def reasons(found: Mapping[str, int]) -> str:
    """Why verdicts are missing, with counts; reasons that differ in their numbers only are one."""
    alike: dict[str, list[tuple[str, int]]] = {}
    for reason, count in found.items():
        alike.setdefault(re.sub(r"\d+", "", reason), []).append((reason, count))
    return "; ".join(
        f"{sum(count for _, count in kind)} × {kind[0][0].rstrip('.')}{' (for example)' if len(kind) > 1 else ''}"
        for kind in alike.values()
    )


def summary(cell: CellResult | None) -> str:
    """The shortest honest word on a cell: its headline value with a mark when it changed for sure."""
    if cell is None:
        return ""
    if cell.state == "not measurable":
        return "n/m"
    result: MetricResult | None = cell.headline
    if cell.state == "empty" or result is None:
        return "…"
    text = number(result.metric, result.estimate.value)
    if cell.uninformative:
        return f"({text})"
    text += MARKS[result.effect]
    return text if cell.state == "done" else f"{text}…"


def corrections(cells: Iterable[CellResult]) -> list[str]:
    """How judged numbers were corrected for the judge's errors, or that they were not: a line a metric."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for result in cell.metrics.values():
            name = f"{cell.measure}.{result.metric.name}" + (
                "" if cell.attack == "direct" else f" ({cell.attack})"
            )
            if result.correction:
                found.setdefault((name, result.correction), []).append(cell.arm)
            if result.change_correction and result.change_correction != result.correction:
                found.setdefault((f"{name}, change", result.change_correction), []).append(cell.arm)
    return [f"{name}: {words} ({', '.join(arms)})" for (name, words), arms in found.items()]
