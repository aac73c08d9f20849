"""Reliability diagrams (Guo et al. 2017, arXiv 1706.04599): accuracy against confidence, bin by bin, for each arm.

A calibrated model lies on the diagonal. Drawn for measures whose class has ``diagram``; the table beside has what the
dots hide, how many items stand behind each and how sure its accuracy is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trueline.core.statistics.calibration_error import ReliabilityBin
from trueline.core.statistics.proportions import proportion_interval
from trueline.studies.measuring import planned_class
from trueline.studies.results import CellResult, StudyResults

from .charts import HUES
from .curves import Curve, curve_chart

FEWEST = 5  # items behind a dot of the chart; the accuracy of fewer is anything
DIAGRAM = "diagram"  # what a measure calls the function from its verdicts to bins


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bin of one arm: shares of one, with the 95 % interval of the accuracy over independent items."""

    arm: str
    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """The chart of one measure and its numbers; the chart leaves out bins of few items, and arms beyond seven."""

    chart: Markup
    bars: Sequence[Bar]


def reliability_diagrams(results: StudyResults) -> Mapping[tuple[str, str], Diagram]:
    """By measure and attack, where the measure has one and any arm has verdicts."""
    places: dict[tuple[str, str], list[CellResult]] = {}
    for cell in results.cells:
        if hasattr(planned_class(results.plan, cell.measure), DIAGRAM):
            places.setdefault((cell.measure, cell.attack), []).append(cell)
    found = {
        place: [bar for cell in cells for bar in _bars(results, cell)] for place, cells in places.items()
    }
    return {place: Diagram(chart=_chart(bars), bars=bars) for place, bars in found.items() if bars}


def _bars(results: StudyResults, cell: CellResult) -> list[Bar]:
    verdicts = [row.verdict for row in results.stored.get(cell.key, ())]
    if not verdicts:
        return []
    drawn: Callable[..., Sequence[ReliabilityBin]] = getattr(
        planned_class(results.plan, cell.measure), DIAGRAM
    )
    bars = []
    for each in drawn(verdicts):
        interval = proportion_interval(each.accuracy * each.n, each.n)
        bars.append(
            Bar(
                arm=cell.arm,
                n=each.n,
                confidence=each.confidence,
                accuracy=each.accuracy,
                low=interval.low,
                high=interval.high,
            )
        )
    return bars


def _chart(bars: Sequence[Bar]) -> Markup:
    shown = [bar for bar in bars if bar.n >= FEWEST] or bars
    arms = list(dict.fromkeys(bar.arm for bar in shown))[:HUES]
    curves = [
        Curve(label=arm, hue=hue, points=[(b.confidence, b.accuracy) for b in shown if b.arm == arm])
        for hue, arm in enumerate(arms)
    ]
    calibrated = Curve(label="calibrated", hue=HUES - 1, points=[(0.0, 0.0), (1.0, 1.0)], drawn="line")
    return Markup(
        curve_chart(
            [*curves, calibrated],
            x_name="confidence",
            y_name="accuracy",
            width=420,
            height=320,
            y_range=(0.0, 1.0),
        )
    )
