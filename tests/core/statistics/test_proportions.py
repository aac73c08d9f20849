"""Wilson and Clopper–Pearson: worked values, properties, exact coverage."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from trueline.core.errors import InputError
from trueline.core.statistics import Interval, clopper_pearson, proportion_interval, wilson
from trueline.core.statistics.proportions import degenerate_interval

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_by_hand() -> None:
    # 50 of 100: centre ½, half-width z·√(¼/100 + z²/40000)/(1 + z²/100) with z² = 3.8415
    half = 1.959964 * math.sqrt(0.0025 + 3.841459 / 40000) / 1.03841459
    found = wilson(50, 100)
    assert found.low == pytest.approx(0.5 - half, abs=1e-7)
    assert found.high == pytest.approx(0.5 + half, abs=1e-7)
    assert found.name == "Wilson"


def test_nothing_in_a_hundred_is_not_certainty() -> None:
    found = clopper_pearson(0, 100)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 100))  # (1 − p)^100 = 2.5 %
    assert round(100 * found.high, 1) == 3.6
    assert proportion_interval(0, 100) == found
    assert wilson(0, 100).high == pytest.approx(3.841459 / 103.841459)


def test_clopper_pearson_solves_the_binomial_tails() -> None:
    found = clopper_pearson(7, 40)
    assert special.bdtrc(6, 40, found.low) == pytest.approx(0.025)  # P(X ≥ 7)
    assert special.bdtr(7, 40, found.high) == pytest.approx(0.025)  # P(X ≤ 7)


@settings(deadline=None)
@given(counts)
def test_intervals_hold_the_rate_and_mirror(case: tuple[int, int]) -> None:
    x, n = case
    for method in (wilson, clopper_pearson, proportion_interval):
        found, mirrored = method(x, n), method(n - x, n)
        assert 0 <= found.low <= x / n <= found.high <= 1
        assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@settings(deadline=None)
@given(counts, st.floats(1.0, 20.0))
def test_a_design_effect_widens(case: tuple[int, int], effect: float) -> None:
    x, n = case
    for method in (wilson, clopper_pearson):
        whole, part = method(x, n), method(x / effect, n / effect)
        assert part.low <= whole.low + 1e-12 and part.high >= whole.high - 1e-12


def _coverage(method: Callable[[float, float], Interval], rate: float, n: int) -> float:
    found = [method(float(x), n) for x in range(n + 1)]
    x = np.arange(n + 1)
    chance = special.bdtr(x, n, rate) - np.where(x > 0, special.bdtr(x - 1, n, rate), 0.0)
    return float(chance @ np.array([i.low <= rate <= i.high for i in found]))


@pytest.mark.parametrize("n", [20, 50, 100, 300, 1000])
@pytest.mark.parametrize("rate", [0.01, 0.02, 0.05, 0.1, 0.3, 0.5])
def test_exact_coverage(rate: float, n: int) -> None:
    assert _coverage(proportion_interval, rate, n) >= 0.93
    assert _coverage(clopper_pearson, rate, n) >= 0.95


def test_why_few_counts_get_the_exact_interval() -> None:
    assert _coverage(wilson, 0.01, 100) == pytest.approx(0.9206, abs=1e-4)
    assert _coverage(proportion_interval, 0.01, 100) > 0.95
    assert proportion_interval(4, 100).name == proportion_interval(96, 100).name == "Clopper–Pearson"
    assert proportion_interval(5, 100).name == "Wilson"
    assert proportion_interval(50, 100, rare=True).name == "Clopper–Pearson"


def test_all_equal_values_leave_room() -> None:
    # 0 of 100 differ, so at most 3.62 % do: from 0.2, at most 3.62 % of the way to either bound.
    found = degenerate_interval(0.2, 100, bounds=(0.0, 1.0))
    assert found.low == pytest.approx(0.2 - 0.0362167 * 0.2, abs=1e-6)
    assert found.high == pytest.approx(0.2 + 0.0362167 * 0.8, abs=1e-6)


@pytest.mark.parametrize(("x", "n"), [(-1, 10), (11, 10), (0, 0), (float("nan"), 10)])
def test_impossible_counts(x: float, n: float) -> None:
    for method in (wilson, clopper_pearson):
        with pytest.raises(InputError, match=r"impossible|needs n"):
            method(x, n)


def test_level_must_be_a_probability() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        wilson(1, 10, level=95)
