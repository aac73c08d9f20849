"""Scales and ticks for the report's charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps values in [low, high] to pixels in [start, end]; logarithmic where asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, x = (
            (log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def clip(self, value: float) -> float:
        """The pixel of a value held within the scale."""
        return self(min(max(value, self.low), self.high))


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers that cover [low, high]."""
    span = (high - low) or abs(high) or 1.0
    raw = span / max(count - 1, 1)
    magnitude = 10.0 ** floor(log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw - 1e-12)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def spread(
    values: Sequence[float], *, floor_at: float | None, ceiling_at: float | None
) -> tuple[float, float]:
    """A range around the values with some air, held within the metric's own bounds."""
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - air, high + air
    ticks = nice_ticks(low, high)
    low, high = ticks[0], ticks[-1]
    if floor_at is not None:
        low = max(low, floor_at)
    if ceiling_at is not None:
        high = min(high, ceiling_at)
    return low, high
