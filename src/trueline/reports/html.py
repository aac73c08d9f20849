"""The safety card: one HTML file that opens offline, made from a study's store without torch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trueline.core.measure import Metric
from trueline.measures.crosswalk import Crosswalk, Risk, crosswalk
from trueline.studies.forgetting import forgetting
from trueline.studies.frontier import Axis, Frontier, capability_axes, frontier, harm_axes
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import ArmResult, CellResult, StudyResults
from trueline.studies.scaling import ScaleCurve, scale_curves, told_of_capability, tracking_words

from . import charts, words
from .axes import spread
from .pages import environment, write_page
from .reliability import reliability_diagrams
from .training_curves import arm_charts
from .transcripts import transcripts

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5})\b")
FRONTIERS = 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure under one attack, over all arms."""

    first: CellResult
    cells: Sequence[CellResult | None]
    bars: Sequence[Markup | None]


@dataclass(frozen=True, kw_only=True)
class DrawnFrontier:
    """A frontier with its chart."""

    frontier: Frontier
    svg: Markup


def write_report(results: StudyResults, path: Path) -> Path:
    """Write the report atomically; returns the path."""
    return write_page(path, render(results))


def render(results: StudyResults) -> str:
    """The report as one HTML text."""
    templates = environment()
    templates.filters.update(paper_link=paper_link)
    arms = [arm for arm in results.arms if arm.role == "treatment"]
    rows = _rows(results, [arm.label for arm in arms])
    return templates.get_template("report.html.j2").render(
        results=results,
        arms=arms,
        components=_by_component(rows),
        frontiers=_frontiers(results),
        diagrams=reliability_diagrams(results),
        sizes=_size_charts(results),
        training=arm_charts(arms),
        tracked=tracking_words(told_of_capability(results)),
        losses=forgetting(results),
        primaries=_primaries(results),
        quiet=_quiet(results),
        transcript_groups=list(transcripts(results)),
        words=words,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        sources=_sources(results),
        touches=_crosswalk(results).words,
        risks=_risks(results),
        totals=_totals(results),
    )


def paper_link(paper: str) -> Markup:
    """A citation whose arXiv number is a link."""
    match = ARXIV.search(paper)
    if match is None:
        return Markup("{}").format(paper)
    before, after = paper[: match.start()], paper[match.end() :]
    return Markup('{}<a href="https://arxiv.org/abs/{}">{}</a>{}').format(before, match[1], match[1], after)


def _rows(results: StudyResults, labels: Sequence[str]) -> list[Row]:
    rows = []
    places = dict.fromkeys((c.measure, c.attack) for c in results.cells if c.arm in labels)
    for measure, attack in places:
        cells = [results.cell(label, measure, attack) for label in labels]
        first = next((c for c in cells if c is not None and c.metrics), None) or next(c for c in cells if c)
        rows.append(Row(first=first, cells=cells, bars=_bars(results, cells)))
    return rows


def _bars(results: StudyResults, cells: Sequence[CellResult | None]) -> list[Markup | None]:
    heads = [cell.headline if cell is not None else None for cell in cells]
    values = [
        v
        for head in heads
        if head is not None
        for v in (head.estimate.low, head.estimate.value, head.estimate.high)
        if v is not None
    ]
    if not values:
        return [None for _ in cells]
    metric = next(head.metric for head in heads if head is not None)
    low, high = _bar_range(metric, values)
    baselines = {arm.label: arm.baseline for arm in results.arms}
    by_arm = {cell.arm: head for cell, head in zip(cells, heads) if cell is not None and head is not None}
    bars: list[Markup | None] = []
    for cell, head in zip(cells, heads):
        if cell is None or head is None:
            bars.append(None)
            continue
        base = by_arm.get(baselines[cell.arm])
        estimate = base.estimate if base is not None else None
        bars.append(Markup(charts.interval_bar(head.metric, head.estimate, estimate, low, high)))
    return bars


def _bar_range(metric: Metric, values: Sequence[float]) -> tuple[float, float]:
    return (0.0, 1.0) if words.is_share(metric) else spread(values, floor_at=None, ceiling_at=None)


def _by_component(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    components: dict[str, list[Row]] = {}
    for row in rows:
        components.setdefault(row.first.component, []).append(row)
    return components


def _frontiers(results: StudyResults) -> list[DrawnFrontier]:
    hues = {treatment: i for i, treatment in enumerate(dict.fromkeys(arm.treatment for arm in results.arms))}
    drawn = []
    for capability in capability_axes(results)[:1]:
        for harm in _informative_first(results, harm_axes(results))[:FRONTIERS]:
            found = frontier(results, harm, capability)
            if found is not None:
                drawn.append(DrawnFrontier(frontier=found, svg=Markup(charts.frontier_chart(found, hues))))
    return drawn


def _informative_first(results: StudyResults, axes: Sequence[Axis]) -> list[Axis]:
    silent = {
        (c.measure, c.attack)
        for c in results.cells
        if c.uninformative and c.arm in {a.baseline for a in results.arms}
    }
    return sorted(axes, key=lambda axis: (axis.measure, axis.attack) in silent)


def _size_charts(results: StudyResults) -> list[tuple[ScaleCurve, Markup]]:
    return [(curve, Markup(charts.size_chart(curve))) for curve in scale_curves(results)]


def _primaries(results: StudyResults) -> list[tuple[CellResult, MetricResult]]:
    return [
        (cell, result)
        for cell in results.cells
        for result in cell.metrics.values()
        if result.family == "primary" and result.change is not None
    ]


def _quiet(results: StudyResults) -> Mapping[str, Mapping[tuple[str, str], list[str]]]:
    """What says nothing: kind -> (measure with attack, why) -> arms."""
    quiet: dict[str, dict[tuple[str, str], list[str]]] = {
        "not measurable": {},
        "uninformative": {},
        "unfinished": {},
    }
    for cell in results.cells:
        place = cell.title if cell.attack == "direct" else f"{cell.title} + {cell.attack}"
        if cell.reason is not None:
            quiet["not measurable"].setdefault((place, cell.reason), []).append(cell.arm)
        elif cell.uninformative:
            quiet["uninformative"].setdefault((place, cell.uninformative), []).append(cell.arm)
        elif cell.state in ("half", "empty"):
            quiet["unfinished"].setdefault((place, f"{cell.done} of {cell.planned} items"), []).append(
                cell.arm
            )
    return {kind: found for kind, found in quiet.items() if found}


def _sources(results: StudyResults) -> list[tuple[str, str, int]]:
    data = results.plan.get("data", {})
    return [(name, entry["digest"], entry["items"]) for name, entry in sorted(data.items())]


def _crosswalk(results: StudyResults) -> Crosswalk:
    """The shipped table, with what the study's own measures say that they touch."""
    own = results.plan.get("own_measures", {})
    return crosswalk().including({name: kept["definition"].get("risks", {}) for name, kept in own.items()})


def _risks(results: StudyResults) -> Mapping[str, list[tuple[Risk, list[str]]]]:
    """Each published list of risks, with the titles of this study's measures that touch each of its entries."""
    titles = {cell.measure: cell.title for cell in results.cells}
    lists: dict[str, list[tuple[Risk, list[str]]]] = {}
    for risk in _crosswalk(results).risks():
        asked = [titles[name] for name in risk.measures if name in titles]
        lists.setdefault(f"{risk.framework.title} ({risk.framework.edition})", []).append((risk, asked))
    return lists


def _totals(results: StudyResults) -> Mapping[str, Any]:
    arms: Sequence[ArmResult] = results.arms
    return {
        "verdicts": sum(cell.done for cell in results.cells),
        "missing": sum(cell.missing for cell in results.cells),
        "tokens": sum(arm.usage.tokens for arm in arms),
        "seconds": sum(arm.seconds for arm in arms) + sum(float(a.training.get("seconds", 0)) for a in arms),
    }
