"""A metric against where a method stands (its divergence, say): a line a method through its strengths.

Where colours do not suffice for all methods, a small chart shows a few of them and leaves the others as grey dots, so
that each can be followed and seen among all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from trueline.studies.comparison.changes import Axis, Change
from trueline.studies.comparison.results import Comparison, Row

from .axes import Scale, nice_ticks, spread
from .charts import HUES
from .words import number

LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT = 62, 210, 18, 48, 700, 380


@dataclass(frozen=True, kw_only=True)
class Point:
    """A method at a strength: its place on the horizontal axis, and its change."""

    method: str
    place: float
    change: Change


def trade_off_charts(
    compared: Comparison, axis: Axis, position: Callable[[Row], float | None], label: str
) -> list[str]:
    """Charts of all methods that have a position, at most seven in colour in each; none with fewer than two points."""
    points = [
        Point(method=row.method, place=float(place), change=row.changes[axis])
        for row in compared.rows
        if axis in row.changes and (place := position(row)) is not None and isfinite(row.changes[axis].level)
    ]
    if len(points) < 2:
        return []
    methods = list(dict.fromkeys(point.method for point in points))
    count = -(-len(methods) // HUES)
    size = -(-len(methods) // count)
    groups = [methods[start : start + size] for start in range(0, len(methods), size)]
    base = compared.untreated[axis]
    return [_chart(points, group, axis, base, label) for group in groups]


def _chart(points: Sequence[Point], shown: Sequence[str], axis: Axis, base: float, label: str) -> str:
    x, y = _scales(points, axis, base)
    parts = [*_grid(x, y, axis, base)]
    parts += [
        f'<circle cx="{x(p.place):.1f}" cy="{y.clip(p.change.level):.1f}" r="3" style="fill:var(--line)"/>'
        for p in points
        if p.method not in shown
    ]
    for number_of, method in enumerate(shown):
        own = sorted((p for p in points if p.method == method), key=lambda p: p.place)
        parts += _line(own, x, y, base, f"hue{number_of}")
        parts += _key(method, f"hue{number_of}", TOP + 14 + 18 * number_of)
    parts.append(
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(label)}</text>"
    )
    title = f"{axis.title} against {label}, a line a method: {', '.join(shown)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _scales(points: Sequence[Point], axis: Axis, base: float) -> tuple[Scale, Scale]:
    """The same for all charts of a metric, so that they can be compared."""
    xs = [0.0, *(point.place for point in points)]
    ys = [base] if isfinite(base) else []
    for change in (point.change for point in points):
        ys.append(change.level)
        if change.low is not None and change.high is not None and isfinite(base):
            ys += [base + change.low, base + change.high]
    floor, ceiling = (end if isfinite(end) else None for end in axis.definition.bounds)
    x_low, x_high = spread(xs, floor_at=min(xs), ceiling_at=None)
    y_low, y_high = spread(ys, floor_at=floor, ceiling_at=ceiling)
    x = Scale(low=x_low, high=x_high, start=LEFT, end=WIDTH - RIGHT)
    return x, Scale(low=y_low, high=y_high, start=HEIGHT - BOTTOM, end=TOP)


def _grid(x: Scale, y: Scale, axis: Axis, base: float) -> list[str]:
    """Ticks, their lines, and the untreated model's level."""
    parts = []
    for value in (tick for tick in nice_ticks(x.low, x.high) if x.low <= tick <= x.high):
        parts += [
            f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{y.start}" y2="{y.end}"/>',
            f'<text class="tick" x="{x(value):.1f}" y="{y.start + 16}" text-anchor="middle">{value:g}</text>',
        ]
    for value in (tick for tick in nice_ticks(y.low, y.high) if y.low <= tick <= y.high):
        parts += [
            f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>',
            f'<text class="tick" x="{x.start - 8}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{number(axis.definition, value)}</text>",
        ]
    if isfinite(base):
        parts.append(
            f'<line class="frontier" x1="{x.start}" x2="{x.end}" y1="{y(base):.1f}" y2="{y(base):.1f}"/>'
        )
    return parts


def _line(own: Sequence[Point], x: Scale, y: Scale, base: float, hue: str) -> list[str]:
    """A method's strengths, with the intervals of their changes."""
    path = " ".join(f"{x(p.place):.1f},{y.clip(p.change.level):.1f}" for p in own)
    parts = [
        f'<polyline class="{hue}" style="fill:none;stroke:var(--hue);stroke-width:1.8" points="{path}"/>'
    ]
    for point in own:
        at, change = x(point.place), point.change
        if change.low is not None and change.high is not None and isfinite(base):
            parts.append(
                f'<line class="whisker {hue}" x1="{at:.1f}" x2="{at:.1f}" '
                f'y1="{y.clip(base + change.low):.1f}" y2="{y.clip(base + change.high):.1f}"/>'
            )
        parts.append(f'<circle class="dot {hue}" cx="{at:.1f}" cy="{y.clip(change.level):.1f}" r="4"/>')
    return parts


def _key(method: str, hue: str, at: float) -> list[str]:
    start = WIDTH - RIGHT
    return [
        f'<line class="{hue}" style="stroke:var(--hue);stroke-width:1.8" x1="{start + 12}" x2="{start + 34}" '
        f'y1="{at}" y2="{at}"/>',
        f'<text class="tick" x="{start + 40}" y="{at + 4}">{escape(method)}</text>',
    ]
