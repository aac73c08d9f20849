"""What a plan's items detect, and how many items a change takes."""

from typing import Any

import pytest
from toy_study import Counter, Parity

from trueline.core.measure import Metric
from trueline.core.messages import chat
from trueline.core.statistics import power_of
from trueline.core.verdicts import Item
from trueline.studies.detecting import detectable, items_to_detect, planned_metrics
from trueline.studies.plan import Plan, make_plan
from trueline.studies.spec import Primary, parse_spec

RATE = Metric(name="rate", definition="d")
STUDY = {
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": [{"name": "parity", "count": 3000}],
}


def items(count: int, size: int = 1, group: str = "") -> list[Item]:
    return [
        Item(id=f"{group}{n}", prompt=chat("?"), cluster=f"{group}{n // size}", group=group)
        for n in range(count)
    ]


def test_the_items_of_five_points() -> None:
    # (t_{.975} + t_{.8})²·sd(d)²/δ² ≈ (1.96 + 0.84)²·0.25/0.0025 = 785, and a few more for t's tails.
    found = items_to_detect(items(3000), RATE, 0.05)
    assert found == 787
    assert detectable(items(found), RATE) == pytest.approx(0.05, abs=1e-4)
    assert (
        power_of(0.05, found, rate=0.5, correlation=0.5)
        >= 0.8
        > power_of(0.05, found - 1, rate=0.5, correlation=0.5)
    )
    assert detectable(items(100), RATE) == pytest.approx(0.141, abs=1e-3)
    assert items_to_detect(items(700), RATE, 0.05) is None


def test_primaries_share_the_error() -> None:
    assert items_to_detect(items(3000), RATE, 0.05, 0.005) == pytest.approx(1340, abs=20)
    primary = [Primary(measure="parity", metric="right", arm=str(n)) for n in range(10)]
    assert planned_metrics(Parity(), primary) == ([Parity.metrics[0]], 0.005)
    assert planned_metrics(Parity(), [Primary(measure="other", metric="right")])[1] == 0.05


def test_items_of_a_cluster_count_for_less() -> None:
    # All 5 of each cluster: 1 + 0.1·4 = 1.4 items for one; of a random half, Σm²/Σm is smaller.
    one, five = items(2000), items(2000, size=5)
    assert detectable(five, RATE) == pytest.approx(detectable(one, RATE) * 1.4**0.5, rel=0.01)  # type: ignore[operator]
    plain, clustered = items_to_detect(one, RATE, 0.05), items_to_detect(five, RATE, 0.05)
    assert plain is not None and clustered is not None and plain < clustered < 1.4 * plain


def test_a_metric_counts_its_own_items_in_its_own_unit() -> None:
    mixed = items(1000, group="a") + items(1000, group="b")
    half = Metric(name="m", definition="d", groups=("a",))
    assert detectable(mixed, half) == detectable(items(1000), RATE)
    assert items_to_detect(mixed, half, 0.05) == pytest.approx(2 * 787, abs=3)
    wide = Metric(name="m", definition="d", kind="mean", bounds=(-10.0, 10.0))
    assert detectable(mixed, wide) == pytest.approx(20 * detectable(mixed, RATE))  # type: ignore[operator]
    for none in (
        Metric(name="m", definition="d", kind="statistic", statistic=lambda columns, weights: 0.0),
        Metric(name="m", definition="d", kind="mean", bounds=(0.0, float("inf"))),
    ):
        assert detectable(mixed, none) is None and items_to_detect(mixed, none, 0.05) is None


def plan(**changes: Any) -> Plan:
    return make_plan(parse_spec({**STUDY, **changes}))


def test_a_study_asks_what_it_takes_and_no_more_than_its_limit(counter: Counter) -> None:
    assert {cell.item_count for cell in plan(detect=0.05).cells} == {787}
    assert {cell.item_count for cell in plan(detect=0.05, limit=300).cells} == {300}
    assert {cell.item_count for cell in plan(detect=0.05, limit=2000).cells} == {787}
    few = plan(detect=0.05, measures=[{"name": "parity", "count": 500}]).cells[0]
    assert few.item_count == 500 and few.detectable == pytest.approx(0.0628, abs=1e-3)
    primaries = [{"measure": "parity", "metric": "right", "arm": "contrary"}]
    assert plan(detect=0.05, primary=primaries).cells[0].item_count == 787
    assert counter.asked == 0
