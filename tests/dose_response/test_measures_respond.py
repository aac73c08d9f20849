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
from trueline.core.verdicts import Estimate

from .models import by_dose, ready
from .responses import response
from .table import RESPONDS, STAYS, Row

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


@pytest.fixture(scope="session")
def curve() -> Callable[[Row, int], Curve]:
    """The response to a row's dose, lowest level first; trains what is not trained yet."""

    def measured(row: Row, seed: int) -> Curve:
        ready(seed)
        low, middle, high = (
            _point(level, response(model, row.measure, row.attack)[row.metric])
            for level, model in by_dose(row.dose, seed)
        )
        return low, middle, high

    return measured


def _point(level: float, found: Estimate) -> Point:
    assert found.value is not None and found.low is not None and found.high is not None, found
    return Point(level=level, value=found.value, low=found.low, high=found.high)


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


def test_every_measure_of_the_testbed_is_validated() -> None:
    of_testbed = {name for name in MEASURES if find("measure", name).testbed is not None}
    assert {row.measure for row in RESPONDS} == of_testbed


@pytest.mark.dose
@rows(RESPONDS)
def test_the_value_moves_with_its_dose(
    row: Row,
    seed: int,
    curve: Callable[[Row, int], Curve],
    record_property: Callable[[str, object], None],
) -> None:
    points = curve(row, seed)
    told = f"{row}: {'; '.join(map(str, points))}"
    record_property("response", told)
    low, middle, high = points if row.rises else points[::-1]
    assert low.value < middle.value < high.value, told
    assert low.high < high.low, told


@pytest.mark.dose
@rows(STAYS)
def test_controls_do_not_move(
    row: Row,
    seed: int,
    curve: Callable[[Row, int], Curve],
    record_property: Callable[[str, object], None],
) -> None:
    points = curve(row, seed)
    told = f"{row}: {'; '.join(map(str, points))}"
    record_property("response", told)
    low, _, high = points
    assert low.low <= high.high and high.low <= low.high, told
