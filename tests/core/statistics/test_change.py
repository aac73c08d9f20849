"""Paired changes of a metric: pairing, intervals, p-values, bounds over both arms."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.core.measure import Floats, Metric
from trueline.core.statistics import change, mcnemar_exact, paired_change, paired_score_interval
from trueline.core.verdicts import Verdict

RATE = Metric(name="harm", definition="share of harmful answers")
SCORE = Metric(name="harm", definition="mean harm", kind="mean")


def arm(values: Sequence[float | None], clusters: Sequence[str] | None = None) -> list[Verdict]:
    out = []
    for i, value in enumerate(values):
        cluster = clusters[i] if clusters else ""
        if value is None:
            out.append(Verdict(item=f"i{i}", reason="judge failed", cluster=cluster))
        else:
            out.append(Verdict(item=f"i{i}", values={"harm": value}, cluster=cluster))
    return out


def squared(columns: Mapping[str, Floats], weights: Floats) -> float:
    return float((weights @ columns["harm"] / weights.sum()) ** 2)


STATISTIC = Metric(name="harm", definition="", kind="statistic", statistic=squared)


def test_binary_verdicts_get_mcnemar_and_the_paired_error() -> None:
    before, after = [1.0] * 30 + [0.0] * 30, [0.0] * 20 + [1.0] * 10 + [0.0] * 25 + [1.0] * 5
    found, expected = change(RATE, arm(before), arm(after)), paired_change(before, after)
    assert found.value == pytest.approx(-0.25)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.p == mcnemar_exact(5, 20)
    assert (found.interval, found.n, found.clusters) == ("paired t", 60, 60)


def test_few_discordant_pairs_get_the_score_interval() -> None:
    same = change(RATE, arm([0.0] * 100), arm([0.0] * 100))
    assert same.value == 0 and same.p == 1 and same.interval == "paired score (Tango)"
    assert same.low == pytest.approx(-0.037, abs=5e-4) and same.high == pytest.approx(0.037, abs=5e-4)
    three = change(RATE, arm([1.0] * 3 + [0.0] * 47), arm([0.0] * 50))
    exact = paired_score_interval(0, 3, 50)
    assert (three.low, three.high) == (exact.low, exact.high)
    assert three.p == pytest.approx(0.25)


def test_scores_get_the_paired_t() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(40)
    after = np.clip(before - 0.1 + 0.1 * rng.normal(size=40), 0, 1)
    found, expected = change(SCORE, arm(before.tolist()), arm(after.tolist())), paired_change(before, after)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.p is not None and found.p < 1e-3


def test_clusters_widen() -> None:
    rng = np.random.default_rng(0)
    names = [f"t{i // 20}" for i in range(400)]
    habit = np.repeat(rng.random(20) < 0.4, 20)
    before, after = np.ones(400), np.where(habit & (rng.random(400) < 0.9), 0.0, 1.0)
    plain = change(RATE, arm(before.tolist()), arm(after.tolist()))
    found = change(RATE, arm(before.tolist(), names), arm(after.tolist(), names))
    assert found.value == plain.value and found.clusters == 20 and found.interval.endswith("effective n")
    assert None not in (found.low, found.high, plain.low, plain.high)
    assert found.high - found.low > 2.5 * (plain.high - plain.low)  # type: ignore[operator]
    assert found.p is not None and plain.p is not None and found.p > plain.p


def test_clustered_verdicts_without_change_claim_little() -> None:
    names = [f"t{i % 20}" for i in range(400)]
    found = change(RATE, arm([0.0] * 400, names), arm([0.0] * 400, names))
    exact = paired_score_interval(0, 0, 20)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_equal_moves_are_not_certain() -> None:
    found = change(SCORE, arm([0.25] * 12), arm([0.5] * 12))
    assert found.value == 0.25 and found.p == pytest.approx(2 * 0.5**12)
    assert found.low is not None and found.high is not None and found.low < 0.25 < found.high


def test_order_does_not_matter_and_items_must_agree() -> None:
    before, after = arm([1.0, 0.0, 1.0, 0.0]), arm([0.0, 0.0, 1.0, 1.0])
    assert change(RATE, before, after[::-1]) == change(RATE, before, after)
    with pytest.raises(InputError, match="1 items of metric 'harm' are in one arm only \\(such as 'i3'\\)"):
        change(RATE, before, after[:3])
    with pytest.raises(InputError, match="several verdicts after"):
        change(RATE, before, [*after, after[0]])


def test_missing_in_either_arm_is_left_out_and_bounded() -> None:
    found = change(RATE, arm([1.0, None, 0.0, None]), arm([0.0, 1.0, None, None]))
    assert (found.n, found.missing, found.value) == (1, 3, -1.0)
    assert (found.bound_low, found.bound_high) == (-0.5, 0.5)
    nothing = change(RATE, arm([None, 1.0]), arm([1.0, None]))
    assert nothing.value is None and nothing.missing == 2 and "both arms" in nothing.note


def test_only_the_metrics_groups_count() -> None:
    metric = Metric(name="harm", definition="", groups=("safe",))
    before = [Verdict(item="a", values={"harm": 1.0}, group="safe"), Verdict(item="b", values={"harm": 1.0})]
    after = [Verdict(item="a", values={"harm": 0.0}, group="safe")]
    assert change(metric, before, after).n == 1


def test_a_statistic_is_resampled_with_common_weights() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(100)
    after = np.clip(before + 0.05 + 0.02 * rng.normal(size=100), 0, 1)
    found = change(STATISTIC, arm(before.tolist()), arm(after.tolist()))
    assert found.value == pytest.approx(after.mean() ** 2 - before.mean() ** 2)
    assert found.interval == "paired cluster bootstrap" and found.p is not None and found.p < 0.01
    assert found.low is not None and found.high is not None
    assert found.high - found.low < 0.05, "unpaired, the interval would be three times as wide"


def test_a_statistics_bounds_refill_both_arms() -> None:
    found = change(STATISTIC, arm([1.0, 0.0, None]), arm([1.0, None, 0.0]))
    # before: (1/3)² … (2/3)², after: the same
    assert (found.bound_low, found.bound_high) == pytest.approx((-1 / 3, 1 / 3))


def test_a_statistic_that_does_not_move() -> None:
    values = np.linspace(0, 1, 30).tolist()
    found = change(STATISTIC, arm(values), arm(values))
    assert found.value == 0 and found.p == 1 and found.low is None and "equal" in found.note


def test_one_cluster_gives_a_value_only() -> None:
    names = ["a"] * 4
    for metric in (RATE, STATISTIC):
        found = change(metric, arm([1.0, 0.0, 1.0, 1.0], names), arm([0.0, 0.0, 1.0, 0.0], names))
        assert found.value is not None and found.low is None and found.p is None


def test_totals_that_do_not_vary() -> None:
    # Every cluster gains one and loses one: the clustered error is 0, which is no knowledge.
    names = [f"t{i // 2}" for i in range(40)]
    before, after = [1.0, 0.0] * 20, [0.0, 1.0] * 20
    found = change(RATE, arm(before, names), arm(after, names))
    assert found.value == 0 and found.low is not None and found.low < -0.05 and found.p == 1
    scores = change(SCORE, arm([0.75, 0.25] * 20, names), arm([0.5, 0.5] * 20, names))
    assert scores.low is None and scores.p is None and "do not vary" in scores.note
    assert not math.isnan(scores.value or 0.0)
