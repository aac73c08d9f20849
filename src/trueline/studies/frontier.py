"""The frontier: what each treatment bought in safety against what it cost in capability."""

from collections.abc import Sequence
from dataclasses import dataclass

from trueline.core.verdicts import Estimate

from .metric_results import MetricResult
from .results import CellResult, StudyResults


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A metric that a frontier is drawn over."""

    measure: str
    metric: str
    attack: str = "direct"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One arm on the frontier plot. ``efficient``: no other arm is at least as good on both and better on one."""

    arm: str
    treatment: str
    harm: Estimate
    capability: Estimate
    efficient: bool
    baseline: bool


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """All arms of one target over one pair of axes."""

    harm: Axis
    capability: Axis
    harm_result: MetricResult
    capability_result: MetricResult
    harm_title: str
    capability_title: str
    points: Sequence[Point]


def capability_axes(results: StudyResults) -> list[Axis]:
    """Headline metrics of the capability measures, in the plan's order."""
    return _axes(results, lambda cell: cell.component == "capability")


def harm_axes(results: StudyResults) -> list[Axis]:
    """Headline metrics of everything but capability, harmful compliance first."""
    axes = _axes(results, lambda cell: cell.component not in ("capability", "scale"))
    return sorted(axes, key=lambda axis: axis.metric != "harmful_compliance")


def _axes(results: StudyResults, wanted: object) -> list[Axis]:
    assert callable(wanted)
    axes: dict[Axis, None] = {}
    for cell in results.cells:
        if wanted(cell) and (headline := cell.headline) is not None and headline.metric.worse != "neither":
            axes[Axis(measure=cell.measure, metric=headline.metric.name, attack=cell.attack)] = None
    return list(axes)


def frontier(results: StudyResults, harm: Axis, capability: Axis) -> Frontier | None:
    """The arms over two axes, or None when fewer than two arms have both numbers."""
    found: list[tuple[str, str, CellResult, MetricResult, CellResult, MetricResult]] = []
    for arm in results.arms:
        if arm.role != "treatment":
            continue
        one = results.cell(arm.label, harm.measure, harm.attack)
        two = results.cell(arm.label, capability.measure, capability.attack)
        if one is None or two is None:
            continue
        first, second = one.metrics.get(harm.metric), two.metrics.get(capability.metric)
        if first and second and first.estimate.value is not None and second.estimate.value is not None:
            found.append((arm.label, arm.treatment, one, first, two, second))
    if len(found) < 2:
        return None
    goodness = [(_good(first), _good(second)) for _, _, _, first, _, second in found]
    points = [
        Point(
            arm=label,
            treatment=treatment,
            harm=first.estimate,
            capability=second.estimate,
            efficient=not any(_dominates(other, goodness[i]) for other in goodness),
            baseline=treatment == "none",
        )
        for i, (label, treatment, _, first, _, second) in enumerate(found)
    ]
    _, _, one, first, two, second = found[0]
    return Frontier(
        harm=harm,
        capability=capability,
        harm_result=first,
        capability_result=second,
        harm_title=one.title,
        capability_title=two.title,
        points=points,
    )


def _good(result: MetricResult) -> float:
    value = result.estimate.value
    assert value is not None
    return -value if result.metric.worse == "higher" else value


def _dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] >= b[0] and a[1] >= b[1] and a != b
