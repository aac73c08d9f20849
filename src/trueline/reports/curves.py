"""Curves as inline SVG: lines through points, a key, and a limit as a dashed line."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from .axes import Scale, nice_ticks, spread
from .charts import HUES, grid, svg

MANY = 20  # points, from which dots are small


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A named line through points in their order; ``drawn`` leaves the dots or the line out."""

    label: str
    points: Sequence[tuple[float, float]]
    hue: int = 0
    drawn: Literal["both", "dots", "line"] = "both"


def curve_chart(
    curves: Sequence[Curve],
    *,
    x_name: str,
    y_name: str,
    width: int = 640,
    height: int = 320,
    limit: float | None = None,
    limit_name: str = "limit",
    ceiling: float | None = None,
    key: bool = True,
    ends: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """``y_name`` against ``x_name``, which starts at 0; ``limit`` is a place on the x axis, ``ceiling`` the largest
    value that there can be, ``y_range`` an axis that several charts share. Above one curve there is a ``key`` below;
    ``ends`` makes the last point of each large."""
    left, right, top = 58, 16, 14
    below = 18 * len(curves) if key and len(curves) > 1 else 0
    bottom = 46
    points = [point for curve in curves for point in curve.points]
    xs = [x for x, _ in points] + ([] if limit is None else [limit])
    ys = [y for _, y in points]
    x_low, x_high = 0.0, 1.03 * max(xs) or 1.0
    y_low, y_high = y_range or spread(ys, floor_at=0.0 if min(ys) >= 0 else None, ceiling_at=ceiling)
    x = Scale(low=x_low, high=x_high, start=left, end=width - right)
    y = Scale(low=y_low, high=y_high, start=height - bottom, end=top)
    parts = grid(x, y, _ticks(x), _ticks(y))
    if limit is not None:
        at = x(limit)
        parts.append(
            f'<line class="frontier" x1="{at:.1f}" x2="{at:.1f}" y1="{y.start:.1f}" y2="{y.end:.1f}"/>'
        )
        side, anchor = (at - 6, "end") if at > (left + width) / 2 else (at + 6, "start")
        parts.append(
            f'<text class="tick" x="{side:.1f}" y="{top + 12}" text-anchor="{anchor}">{escape(limit_name)}</text>'
        )
    for number, curve in enumerate(curves):
        parts += _drawn(curve, x, y, ends)
        if below:
            parts += _key(curve, left, height + 10 + 18 * number)
    parts.append(
        f'<text class="axis" x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">'
        f"{escape(x_name)}</text>"
    )
    parts.append(
        f'<text class="axis" transform="rotate(-90)" x="{-(top + height - bottom) / 2}" y="14" '
        f'text-anchor="middle">{escape(y_name)}</text>'
    )
    label = f"{y_name} against {x_name}: {', '.join(curve.label for curve in curves)}"
    return svg(width, height + below, label, parts)


def _drawn(curve: Curve, x: Scale, y: Scale, ends: bool) -> list[str]:
    hue, last = f"hue{curve.hue % HUES}", len(curve.points) - 1
    usual, kind = (3.5, "dot") if last < MANY else (1.6, "dot small")
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in curve.points)
    dots = "".join(
        f'<circle class="{kind} {hue}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="{6 if ends and n == last else usual:g}">'
        f"<title>{escape(curve.label)}: {a:.3g}, {b:.3g}</title></circle>"
        for n, (a, b) in enumerate(curve.points)
    )
    line = f'<polyline class="line {hue}" points="{path}"/>'
    return {"both": [line, dots], "line": [line], "dots": [dots]}[curve.drawn]


def _key(curve: Curve, left: float, at: float) -> list[str]:
    hue = f"hue{curve.hue % HUES}"
    return [
        f'<line class="line {hue}" x1="{left}" x2="{left + 22}" y1="{at}" y2="{at}"/>',
        f'<text class="tick" x="{left + 28}" y="{at + 4}">{escape(curve.label)}</text>',
    ]


def _ticks(scale: Scale) -> list[tuple[float, str]]:
    inside = [v for v in nice_ticks(scale.low, scale.high) if scale.low - 1e-9 <= v <= scale.high + 1e-9]
    return [(v, f"{v:g}") for v in inside]
