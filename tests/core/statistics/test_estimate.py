"""From verdicts to estimates: which interval, what is counted, what missing verdicts could do."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.measure import Floats, Metric, ShareAmong
from trueline.core.statistics import change, clopper_pearson, estimate, wilson
from trueline.core.statistics.arrays import encode
from trueline.core.statistics.clustered import safe_clustered_mean, safe_effective_n
from trueline.core.verdicts import Item, Verdict

RATE = Metric(name="harm", definition="share of harmful answers")
SCORE = Metric(name="harm", definition="mean harm", kind="mean")


def verdicts(
    values: Sequence[float | None], clusters: Sequence[str] | None = None, groups: Sequence[str] | None = None
) -> list[Verdict]:
    """One verdict a value; None is no verdict."""
    out = []
    for i, value in enumerate(values):
        cluster, group = clusters[i] if clusters else "", groups[i] if groups else ""
        values_of = {} if value is None else {"harm": value}
        reason = "judge failed" if value is None else None
        out.append(Verdict(item=f"i{i}", values=values_of, reason=reason, cluster=cluster, group=group))
    return out


def squared(columns: Mapping[str, Floats], weights: Floats) -> float:
    return float((weights @ columns["harm"] / weights.sum()) ** 2)


def test_an_independent_proportion_gets_wilson() -> None:
    found = estimate(RATE, verdicts([1.0] * 12 + [0.0] * 28))
    assert (found.value, found.n, found.missing, found.clusters) == (0.3, 40, 0, 40)
    assert (found.low, found.high) == (wilson(12, 40).low, wilson(12, 40).high)
    assert found.interval == "Wilson"
    assert found.bound_low == found.bound_high == 0.3


def test_a_rare_event_and_few_counts_get_clopper_pearson() -> None:
    rare = Metric(name="harm", definition="", rare=True)
    for metric, values in ((rare, [1.0] * 12 + [0.0] * 28), (RATE, [0.0] * 100)):
        found = estimate(metric, verdicts(values))
        exact = clopper_pearson(sum(values), len(values))
        assert (found.low, found.high, found.interval) == (exact.low, exact.high, "Clopper–Pearson")
    assert found.high is not None and round(found.high, 3) == 0.036


def test_clusters_shrink_n() -> None:
    rng = np.random.default_rng(0)
    rates = np.repeat(rng.random(25), 20)
    values = (rng.random(500) < rates).astype(float)
    names = [f"template {i // 20}" for i in range(500)]
    found = estimate(RATE, verdicts(values.tolist(), names))
    codes, count = encode(names, 500)
    size = safe_effective_n(values, codes, count)
    expected = wilson(values.mean() * size, size)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.interval == "Wilson on effective n" and found.clusters == 25
    assert f"effective n {size:.1f} of 500" in found.note
    plain = wilson(values.sum(), 500)
    assert found.low is not None and found.high is not None
    assert found.high - found.low > 1.5 * (plain.high - plain.low)


def test_no_event_in_few_clusters_claims_little() -> None:
    found = estimate(RATE, verdicts([0.0] * 500, [f"t{i % 25}" for i in range(500)]))
    assert found.high == pytest.approx(clopper_pearson(0, 25).high)


def test_a_mean_gets_the_clustered_t() -> None:
    values = [0.1, 0.9, 0.4, 0.8, 0.3, 0.35]
    names = ["a", "a", "b", "b", "c", "c"]
    found = estimate(SCORE, verdicts(values, names))
    codes, count = encode(names, 6)
    expected = safe_clustered_mean(np.array(values), codes, count)
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(max(0.0, expected.low))
    assert found.high == pytest.approx(min(1.0, expected.high))
    assert found.interval == "clustered t"


def test_equal_scores_are_not_certain() -> None:
    found = estimate(SCORE, verdicts([0.0] * 100))
    assert found.low == 0 and found.high == pytest.approx(clopper_pearson(0, 100).high)
    unbounded = Metric(name="harm", definition="", kind="mean", bounds=(0.0, math.inf))
    open_ended = estimate(unbounded, verdicts([1.0] * 100 + [None]))
    assert open_ended.high is None and open_ended.bound_high is None and open_ended.bound_low is not None


def test_a_statistic_is_resampled() -> None:
    metric = Metric(name="s", definition="", kind="statistic", statistic=squared)
    rng = np.random.default_rng(0)
    values = rng.random(80).tolist()
    found = estimate(metric, verdicts(values))
    assert found.value == pytest.approx(np.mean(values) ** 2)
    assert found.interval == "cluster bootstrap"
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    assert estimate(metric, verdicts(values)) == found, "the same seed gives the same interval"
    assert estimate(metric, verdicts(values), seed=1) != found


def test_columns_have_every_field_and_nan_where_it_lacks() -> None:
    seen: dict[str, Floats] = {}

    def statistic(columns: Mapping[str, Floats], weights: Floats) -> float:
        seen.update(columns)
        slice_ = ~np.isnan(columns["right"])
        return float(weights[slice_] @ columns["right"][slice_] / weights[slice_].sum())

    metric = Metric(name="s", definition="", kind="statistic", statistic=statistic)
    rows = [Verdict(item="a", values={"right": 1.0, "sure": 0.5}), Verdict(item="b", values={"sure": 0.25})]
    found = estimate(metric, [*rows, Verdict(item="c", values={"right": 0.0, "sure": 0.5})])
    assert found.value == 0.5 and set(seen) == {"right", "sure"} and len(seen["sure"]) == 3


def test_undefined_says_so() -> None:
    metric = Metric(name="s", definition="", kind="statistic", statistic=lambda columns, weights: math.nan)
    found = estimate(metric, verdicts([1.0, 0.0]))
    assert (found.value, found.low, found.high, found.interval) == (None, None, None, "none")
    assert "undefined" in found.note


def test_no_verdict_is_no_number() -> None:
    found = estimate(RATE, verdicts([None, None]))
    assert (found.value, found.low, found.n, found.missing) == (None, None, 0, 2)
    assert (found.bound_low, found.bound_high) == (0.0, 1.0)
    assert "none of 2 verdicts" in found.note
    empty = estimate(RATE, [])
    assert empty.value is None and empty.missing == 0 and empty.note


def test_missing_verdicts_move_only_the_bounds() -> None:
    whole, holed = estimate(RATE, verdicts([1.0, 0.0, 0.0])), estimate(RATE, verdicts([1.0, None, 0.0, 0.0]))
    assert (holed.value, holed.low, holed.high) == (whole.value, whole.low, whole.high)
    assert (holed.n, holed.missing) == (3, 1)
    assert (holed.bound_low, holed.bound_high) == (0.25, 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_counts_add_up_and_bounds_hold(rows: list[tuple[bool, bool]]) -> None:
    truth = [float(value) for value, _ in rows]
    found = estimate(RATE, verdicts([None if hidden else v for v, (_, hidden) in zip(truth, rows)]))
    assert found.n + found.missing == len(rows)
    if found.n:
        assert found.bound_low is not None and found.bound_high is not None
        assert found.bound_low - 1e-9 <= np.mean(truth) <= found.bound_high + 1e-9
        assert found.low is not None and found.high is not None and found.value is not None
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_bounds_of_a_statistic() -> None:
    metric = Metric(name="harm", definition="", kind="statistic", statistic=squared)
    found = estimate(metric, verdicts([1.0, 0.0, None, 1.0]))
    assert (found.bound_low, found.bound_high) == (0.25, 0.5625)
    both = {"harm": 1.0, "sure": 1.0}
    several = [Verdict(item=item, values=both) for item in "ab"] + [Verdict(item="c", reason="error")]
    unknown = estimate(metric, several)
    assert unknown.bound_low is None and "no bounds" in unknown.note


def test_only_the_metrics_groups_count() -> None:
    metric = Metric(name="harm", definition="", groups=("safe",))
    found = estimate(metric, verdicts([1.0, 0.0, 1.0], groups=["safe", "safe/x", "safety"]))
    assert (found.n, found.value) == (2, 0.5)


def test_a_verdict_without_the_field_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="lacks 'harm'"):
        estimate(RATE, [Verdict(item="a", values={"other": 1.0})])
    with pytest.raises(AssertionError, match="outside"):
        estimate(RATE, verdicts([2.0, 0.0]))


def test_one_cluster_gives_a_value_without_interval() -> None:
    for metric in (RATE, SCORE, Metric(name="s", definition="", kind="statistic", statistic=squared)):
        found = estimate(metric, verdicts([1.0, 0.0, 1.0], ["a", "a", "a"]))
        assert found.value is not None and (found.low, found.high, found.interval) == (None, None, "none")
        assert "one cluster" in found.note


AMONG = Metric(
    name="given_up", definition="d", kind="statistic", statistic=ShareAmong(field="up", among="right")
)


def doubted(*told: tuple[float, float] | None, clusters: Sequence[str] | None = None) -> list[Verdict]:
    """(right, up) of each item, None for a missing verdict."""
    items = [
        Item(id=str(n), prompt="?", cluster=clusters[n] if clusters else str(n)) for n in range(len(told))
    ]
    return [
        Verdict.missing(item, "lost") if values is None else Verdict.of(item, right=values[0], up=values[1])
        for item, values in zip(items, told)
    ]


def test_a_share_of_some_counts_those_alone() -> None:
    """One of the three first right answers is given up, of six: exact bounds of 1 of 3 are [.0084, .9057]."""
    found = estimate(AMONG, doubted((1, 1), (1, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
    assert (found.value, found.n, found.clusters) == (pytest.approx(1 / 3), 3, 3)
    assert (found.low, found.high) == pytest.approx((0.0084, 0.9057), abs=1e-4)
    assert found.note == "of 3 of 6 verdicts" and (found.bound_low, found.bound_high) == (1 / 3, 1 / 3)


def test_one_that_counts_has_hardly_any_interval_and_none_no_value() -> None:
    one = estimate(AMONG, doubted((1, 0), (0, 0), (0, 0)))
    assert (one.value, one.n) == (0.0, 1) and one.high == pytest.approx(0.975)
    none = estimate(AMONG, doubted((0, 0), (0, 0), None))
    assert (none.value, none.n, none.missing) == (None, 0, 1)
    assert (none.bound_low, none.bound_high) == (0.0, 1.0)


def test_a_missing_verdict_may_have_counted_either_way() -> None:
    found = estimate(AMONG, doubted((1, 1), (1, 0), (0, 0), None, None))
    assert (found.value, found.n, found.missing) == (0.5, 2, 2)
    assert (found.bound_low, found.bound_high) == (1 / 4, 3 / 4)


def test_clusters_of_those_that_count() -> None:
    told = [(1.0, float(n < 20)) for n in range(40)] + [(0.0, 0.0)] * 40
    apart = estimate(AMONG, doubted(*told))
    together = estimate(AMONG, doubted(*told, clusters=[str(n // 4) for n in range(80)]))
    assert (apart.clusters, together.clusters) == (40, 10)
    assert together.high - together.low > 1.5 * (apart.high - apart.low)  # type: ignore[operator]


def test_the_change_of_a_share_of_some_is_resampled() -> None:
    """The arms have other first right answers: 1 of 2 given up, then 3 of 4."""
    before = doubted((1, 1), (1, 0), (0, 0), (0, 0), (0, 0))
    after = doubted((1, 1), (1, 1), (1, 1), (1, 0), (0, 0))
    found = change(AMONG, before, after)
    assert found.value == pytest.approx(0.25) and found.interval == "paired cluster bootstrap"
