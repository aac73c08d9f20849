"""A card corrects all arms of a metric or none."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_study import Counter

from trueline.core.measure import Metric
from trueline.core.verdicts import Estimate
from trueline.studies.comparable import corrected_alike
from trueline.studies.correcting import BY_CARD
from trueline.studies.metric_results import MetricResult
from trueline.studies.plan import make_plan
from trueline.studies.results import CellResult, read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

REFUSED = Metric(name="refused", definition="d", judged_by="refusal")


def level(value: float, interval: str = "Wilson") -> Estimate:
    return Estimate(value=value, low=0.0, high=1.0, n=10, missing=0, interval=interval)


BY_A_CARD = MetricResult(
    metric=REFUSED,
    estimate=level(0.084, f"{BY_CARD}, 5 sources"),
    correction="corrected by a card of 5 other sources",
    judged=level(0.125),
)
UNFIT = MetricResult(
    metric=REFUSED, estimate=level(0.0), correction="uncorrected: the corrected rate -0.069 leaves [0, 1]"
)
EXACT = MetricResult(metric=REFUSED, estimate=level(0.3))
BY_LABELS = MetricResult(
    metric=REFUSED,
    estimate=level(0.1, "prediction-powered, 60 labels"),
    correction="prediction-powered with 60 labels of 100",
    judged=level(0.2),
)


@pytest.fixture
def cells(counter: Counter, tmp_path: Path) -> list[CellResult]:
    study = {"targets": ["toy"], "treatments": ["none", "contrary"], "measures": ["parity"]}
    run_study(make_plan(parse_spec(study)), tmp_path)
    return list(read_results(tmp_path).cells)


@pytest.mark.parametrize(
    ("first", "second", "value", "words"),
    [
        (UNFIT, BY_A_CARD, 0.125, "uncorrected: a card that does not correct none too"),
        (BY_A_CARD, BY_A_CARD, 0.084, "corrected by a card"),
        (BY_LABELS, BY_A_CARD, 0.084, "corrected by a card"),  # both are of what is true
        (EXACT, BY_A_CARD, 0.084, "corrected by a card"),  # the world's own judge needs no correction
    ],
)
def test_arms_of_one_metric_are_corrected_alike(
    cells: list[CellResult], first: MetricResult, second: MetricResult, value: float, words: str
) -> None:
    given = [replace(cell, metrics={"refused": each}) for cell, each in zip(cells, (first, second))]
    before, after = corrected_alike(given)
    assert before.metrics["refused"] == first
    assert after.metrics["refused"].estimate.value == value
    assert after.metrics["refused"].correction.startswith(words)


def test_another_attack_is_another_comparison(cells: list[CellResult]) -> None:
    given = [
        replace(cells[0], metrics={"refused": UNFIT}, attack="prefill"),
        replace(cells[1], metrics={"refused": BY_A_CARD}),
    ]
    assert corrected_alike(given) == given
