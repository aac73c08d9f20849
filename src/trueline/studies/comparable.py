"""Levels that stand side by side are of one kind: a card corrects all arms of a metric, or none of them.

A card that leaves one arm without a meaningful rate says that it is not of these answers. And corrected levels beside
uncorrected ones show a difference that no answer made: 0.0 % uncorrected and 8.4 % corrected, of 0.0 and 12.5 % as
judged.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .correcting import BY_CARD
from .metric_results import MetricResult

if TYPE_CHECKING:
    from .results import CellResult


def corrected_alike(cells: "Sequence[CellResult]") -> "list[CellResult]":
    """The cells, without corrections by a card that another arm of the same metric could not have."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for cell in cells:
        for name, result in cell.metrics.items():
            if result.correction and result.estimate.value is not None and result.judged is None:
                lacking.setdefault((*_place(cell), name), []).append(cell.arm)
    return [
        replace(
            cell,
            metrics={
                name: _as_judged(result, lacking.get((*_place(cell), name), ()))
                for name, result in cell.metrics.items()
            },
        )
        for cell in cells
    ]


def _place(cell: "CellResult") -> tuple[str, ...]:
    return cell.measure, json.dumps(dict(cell.parameters), sort_keys=True), cell.attack


def _by_card(result: MetricResult) -> bool:
    return result.estimate.interval.startswith(BY_CARD)


def _as_judged(result: MetricResult, lacking: Sequence[str]) -> MetricResult:
    if not lacking or not _by_card(result):
        return result
    assert result.judged is not None
    words = (
        f"uncorrected: a card that does not correct {', '.join(lacking)} too would make the arms incomparable"
    )
    return replace(result, estimate=result.judged, judged=None, correction=words)
