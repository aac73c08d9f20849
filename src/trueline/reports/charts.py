"""Charts as inline SVG: no script, sharp in print, coloured by the page's own variables in light and dark.

Drawn here rather than by a plotting bundle because a card of one file must open offline, stay small, follow the
reader's colour scheme, and be read aloud: each chart carries a title, a description and a table beside it.
"""

from collections.abc import Sequence
from html import escape
from math import isfinite

from trueline.core.measure import Metric
from trueline.core.verdicts import Estimate
from trueline.studies.frontier import Frontier
from trueline.studies.scaling import ScaleCurve

from .axes import Scale, nice_ticks, spread
from .words import is_share, number

HUES = 7
LAW_STEPS = 40


def _limits(metric: Metric) -> tuple[float | None, float | None]:
    low, high = metric.bounds
    return (low if isfinite(low) else None, high if isfinite(high) else None)


def _ends(estimate: Estimate) -> list[float]:
    return [v for v in (estimate.low, estimate.value, estimate.high) if v is not None]


def _tick(metric: Metric, value: float) -> str:
    return f"{100 * value:g}" if is_share(metric) else f"{value:g}"


def grid(
    x: Scale, y: Scale, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]
) -> list[str]:
    """Grid lines with their numbers below and to the left."""
    parts = []
    for value, text in x_ticks:
        parts.append(
            f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{y.start:.1f}" y2="{y.end:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{x(value):.1f}" y="{y.start + 16:.1f}" text-anchor="middle">{text}</text>'
        )
    for value, text in y_ticks:
        parts.append(
            f'<line class="grid" x1="{x.start:.1f}" x2="{x.end:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{x.start - 8:.1f}" y="{y(value) + 4:.1f}" text-anchor="end">{text}</text>'
        )
    return parts


def _ticks(metric: Metric, scale: Scale) -> list[tuple[float, str]]:
    inside = [v for v in nice_ticks(scale.low, scale.high) if scale.low - 1e-9 <= v <= scale.high + 1e-9]
    return [(v, _tick(metric, v)) for v in inside]


def frontier_chart(drawn: Frontier, hues: dict[str, int]) -> str:
    """Harm up, capability right, both with intervals; numbered points, a line through the efficient ones."""
    width, height, left, right, top, bottom = 640, 400, 62, 18, 18, 52
    harm, capability = drawn.harm_result.metric, drawn.capability_result.metric
    xs = [v for p in drawn.points for v in _ends(p.capability)]
    ys = [v for p in drawn.points for v in _ends(p.harm)]
    x_low, x_high = spread(xs, floor_at=_limits(capability)[0], ceiling_at=_limits(capability)[1])
    y_low, y_high = spread(ys, floor_at=_limits(harm)[0], ceiling_at=_limits(harm)[1])
    x = Scale(low=x_low, high=x_high, start=left, end=width - right)
    y = Scale(low=y_low, high=y_high, start=height - bottom, end=top)
    parts = grid(x, y, _ticks(capability, x), _ticks(harm, y))
    efficient = sorted(
        (p for p in drawn.points if p.efficient),
        key=lambda p: (p.capability.value or 0.0, p.harm.value or 0.0),
    )
    if len(efficient) > 1:
        path = " ".join(f"{x(p.capability.value or 0):.1f},{y(p.harm.value or 0):.1f}" for p in efficient)
        parts.append(f'<polyline class="frontier" points="{path}"/>')
    for index, point in enumerate(drawn.points, 1):
        hue = f"hue{hues[point.treatment] % HUES}"
        cx, cy = x(point.capability.value or 0), y(point.harm.value or 0)
        if point.capability.low is not None and point.capability.high is not None:
            a, b = x.clip(point.capability.low), x.clip(point.capability.high)
            parts.append(
                f'<line class="whisker {hue}" x1="{a:.1f}" x2="{b:.1f}" y1="{cy:.1f}" y2="{cy:.1f}"/>'
            )
        if point.harm.low is not None and point.harm.high is not None:
            a, b = y.clip(point.harm.low), y.clip(point.harm.high)
            parts.append(
                f'<line class="whisker {hue}" x1="{cx:.1f}" x2="{cx:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>'
            )
        words = (
            f"{point.arm}: {number(harm, point.harm.value)} {harm.name}, "
            f"{number(capability, point.capability.value)} {capability.name}"
        )
        parts.append(
            f'<g><title>{escape(words)}</title><circle class="dot {hue}" cx="{cx:.1f}" cy="{cy:.1f}" r="10"/>'
            f'<text class="mark" x="{cx:.1f}" y="{cy + 4:.1f}" text-anchor="middle">{index}</text></g>'
        )
    x_name = _axis_name(drawn.capability.measure, capability)
    y_name = _axis_name(drawn.harm.measure, harm)
    parts.append(
        f'<text class="axis" x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">{x_name}</text>'
    )
    parts.append(
        f'<text class="axis" transform="rotate(-90)" x="{-(top + height - bottom) / 2}" y="16" '
        f'text-anchor="middle">{y_name}</text>'
    )
    label = f"Frontier: {drawn.harm_title} against {drawn.capability_title}, {len(drawn.points)} arms; table beside"
    return svg(width, height, label, parts)


def _axis_name(measure: str, metric: Metric) -> str:
    unit = " (%)" if is_share(metric) else ""
    arrow = {"higher": " · lower is better", "lower": " · higher is better"}.get(metric.worse, "")
    return escape(f"{measure}: {metric.name.replace('_', ' ')}{unit}{arrow}")


def interval_bar(
    metric: Metric, estimate: Estimate, baseline: Estimate | None, low: float, high: float
) -> str:
    """A small dot with its interval on the row's common scale; the baseline is a thin line behind."""
    width, height = 92, 14
    scale = Scale(low=low, high=high if high > low else low + 1, start=4, end=width - 4)
    parts = [f'<line class="rail" x1="0" x2="{width}" y1="7" y2="7"/>']
    if baseline is not None and baseline.value is not None:
        at = scale.clip(baseline.value)
        parts.append(f'<line class="base" x1="{at:.1f}" x2="{at:.1f}" y1="1" y2="13"/>')
    if estimate.value is not None:
        if estimate.low is not None and estimate.high is not None:
            a, b = scale.clip(estimate.low), scale.clip(estimate.high)
            parts.append(f'<line class="span" x1="{a:.1f}" x2="{b:.1f}" y1="7" y2="7"/>')
        parts.append(f'<circle class="pin" cx="{scale.clip(estimate.value):.1f}" cy="7" r="3.5"/>')
    return f'<svg class="bar" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(parts)}</svg>'


def size_chart(curve: ScaleCurve) -> str:
    """A metric against scale (logarithmic), with intervals; the line goes through the mean of each size, the dashed one
    is the fitted law, where there is one."""
    metric, points = curve.metric, curve.points
    width, height, left, right, top, bottom = 300, 190, 44, 14, 12, 40
    values = [v for p in points for v in _ends(p.estimate)]
    low, high = spread(values, floor_at=_limits(metric)[0], ceiling_at=_limits(metric)[1])
    sizes = [p.scale for p in points]
    x = Scale(low=min(sizes) / 1.25, high=max(sizes) * 1.25, start=left, end=width - right, log=True)
    y = Scale(low=low, high=high, start=height - bottom, end=top)
    means: dict[float, list[float]] = {}
    for p in points:
        means.setdefault(p.scale, []).append(p.estimate.value or 0.0)
    parts = grid(x, y, [(scale, _millions(scale)) for scale in means], _ticks(metric, y))
    line = " ".join(f"{x(scale):.1f},{y(sum(seen) / len(seen)):.1f}" for scale, seen in means.items())
    parts.append(f'<polyline class="curve" points="{line}"/>')
    if curve.law is not None:
        ratio = max(sizes) / min(sizes)
        steps = [min(sizes) * ratio ** (n / LAW_STEPS) for n in range(LAW_STEPS + 1)]
        fitted = " ".join(f"{x(scale):.1f},{y.clip(curve.law.predict(scale)):.1f}" for scale in steps)
        parts.append(f'<polyline class="law" points="{fitted}"/>')
    for p in points:
        at = x(p.scale)
        if p.estimate.low is not None and p.estimate.high is not None:
            a, b = y.clip(p.estimate.low), y.clip(p.estimate.high)
            parts.append(
                f'<line class="whisker hue0" x1="{at:.1f}" x2="{at:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>'
            )
        words = f"{p.label}: {number(metric, p.estimate.value)}"
        parts.append(
            f'<circle class="dot hue0" cx="{at:.1f}" cy="{y(p.estimate.value or 0):.1f}" r="4.5">'
            f"<title>{escape(words)}</title></circle>"
        )
    parts.append(
        f'<text class="axis" x="{(left + width - right) / 2}" y="{height - 4}" text-anchor="middle">'
        f"{escape(curve.axis)}</text>"
    )
    return svg(width, height, f"{curve.title}: {metric.name} against {curve.axis}", parts)


def _millions(scale: float) -> str:
    for unit, letter in ((1e9, "B"), (1e5, "M"), (1e3, "k")):
        if scale >= unit:
            return f"{scale / (1e6 if letter == 'M' else unit):.{2 if letter == 'M' else 3}g}{letter}"
    return f"{scale:.3g}"


def svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """A chart that is read aloud by its label."""
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )
