"""Dose and response: every measure moves with the contamination that it is meant to measure.

Three worlds in which each dose stands once at a low, a middle and a high level (a Latin square, so that all
measures share three models). A measure passes when its values stand in the order of the doses and the 95 %
intervals at the ends do not overlap. TRUELINE_DOSE_SEEDS asks for more triples of worlds.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from trueline.catalog import MEASURES, find

from .models import READING, by_dose, ready
from .responses import Response, response
from .table import BOUNDED_BY, RESPONDS, STAYS, WITHOUT_A_DOSE, Row

SEEDS = range(int(os.environ.get("TRUELINE_DOSE_SEEDS", "1")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A dose's level and what was measured there; ``low`` and ``high`` end the 95 % interval."""

    level: float
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.level:g}: {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


Curve = tuple[Point, Point, Point]
Respond = Callable[[Row, int], list[tuple[float, Response]]]


@pytest.fixture(scope="session")
def respond() -> Respond:
    """The responses to a row's dose by level, lowest first; trains the models that are not there yet."""

    def measured(row: Row, seed: int) -> list[tuple[float, Response]]:
        ready(seed)
        return [(level, response(model, row.measure, row.attack)) for level, model in by_dose(row.dose, seed)]

    return measured


def rows(table: Sequence[Row]) -> pytest.MarkDecorator:
    """One test a row and seed; rows that are examined together stay in one worker."""
    return pytest.mark.parametrize(
        ("row", "seed"),
        [
            pytest.param(row, seed, id=f"{row}-{seed}", marks=pytest.mark.xdist_group(f"{row.cell}-{seed}"))
            for row in table
            for seed in SEEDS
        ],
    )


def mechanism(name: str) -> tuple[object, object]:
    """What a measure does with which items: sets that only differ in their real data share it."""
    cls = find("measure", name)
    return cls.examine, cls.testbed


def test_every_measure_of_the_testbed_is_validated() -> None:
    validated = MEASURES.keys() - WITHOUT_A_DOSE
    of_testbed = {mechanism(name) for name in validated if find("measure", name).testbed is not None}
    assert {mechanism(row.measure) for row in RESPONDS} == of_testbed


@pytest.mark.dose
@rows(RESPONDS)
def test_the_value_moves_with_its_dose(
    row: Row, seed: int, respond: Respond, record_property: Callable[[str, object], None]
) -> None:
    points = curve(row, respond(row, seed))
    record_property("response", told(row, points))
    low, middle, high = points if row.rises else points[::-1]
    assert low.value <= middle.value <= high.value, told(row, points)
    assert low.high < high.low, told(row, points)


@pytest.mark.dose
@rows(STAYS)
def test_controls_do_not_move(
    row: Row, seed: int, respond: Respond, record_property: Callable[[str, object], None]
) -> None:
    points = curve(row, respond(row, seed))
    record_property("response", told(row, points))
    low, _, high = points
    assert low.low <= high.high and high.low <= low.high, told(row, points)


@pytest.mark.dose
@rows(tuple({row.cell: row for row in RESPONDS if row.dose != READING}.values()))
def test_no_result_on_a_learnt_world_is_called_uninformative(row: Row, seed: int, respond: Respond) -> None:
    assert {level: found.uninformative for level, found in respond(row, seed) if found.uninformative} == {}


def curve(row: Row, responses: Sequence[tuple[float, Response]]) -> Curve:
    """The row's metric at the three levels."""
    low, middle, high = (_point(row, level, found) for level, found in responses)
    return low, middle, high


def told(row: Row, points: Curve) -> str:
    """The curve in words."""
    return f"{row}: {'; '.join(map(str, points))}"


def _point(row: Row, level: float, found: Response) -> Point:
    estimate = found.estimates[row.metric]
    low, high = estimate.low, estimate.high
    if (low is None or high is None) and (row.measure, row.metric) in BOUNDED_BY:
        low, high = BOUNDED_BY[row.measure, row.metric](found.estimates)
    assert estimate.value is not None and low is not None and high is not None, (
        f"{row} at {level:g}: {estimate}"
    )
    return Point(level=level, value=estimate.value, low=low, high=high)
