"""Paired differences, McNemar, Tango's interval, bounds over missing verdicts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.statistics import (
    mcnemar_exact,
    paired_bounds,
    paired_change,
    paired_score_interval,
    wilson,
)

pairs = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60)).filter(lambda c: sum(c) > 0)


def test_paired_change_by_hand() -> None:
    # d = 1, 0, 0, −1, 1: mean 0.2, sd √(2.8/4), SE √0.7/√5, t₄ = 2.776445
    found = paired_change([0, 1, 0, 1, 0], [1, 1, 0, 0, 1])
    assert found.value == pytest.approx(0.2)
    assert found.se == pytest.approx(math.sqrt(0.7 / 5))
    assert found.high - found.value == pytest.approx(2.776445 * math.sqrt(0.14), abs=1e-6)
    assert found.df == 4


def test_clustered_change_by_hand() -> None:
    # Differences 1, 1, 0, 0 in clusters a, a, b, b: mean ½, cluster sums of deviations ±1.
    found = paired_change([0, 0, 1, 1], [1, 1, 1, 1], ["a", "a", "b", "b"])
    assert found.se == pytest.approx(math.sqrt(2) / 4)
    assert found.df == 1


def test_mcnemar_by_hand() -> None:
    # 1 against 6 of 7: 2·(1 + 7)/2⁷
    assert mcnemar_exact(6, 1) == pytest.approx(16 / 128)
    assert mcnemar_exact(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_exact(0, 0) == mcnemar_exact(4, 4) == 1.0


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_sum(gained: int, lost: int) -> None:
    n, least = gained + lost, min(gained, lost)
    exact = min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) / 2**n)
    assert mcnemar_exact(gained, lost) == pytest.approx(exact, rel=1e-9)


def test_tango_without_discordant_pairs_is_not_zero() -> None:
    # With none, the restricted variance is n|δ|(1 − |δ|) and the ends are those of Wilson at 0.
    found = paired_score_interval(0, 0, 100)
    assert found.high == pytest.approx(wilson(0, 100).high, abs=1e-9)
    assert found.low == pytest.approx(-found.high)


def test_tango_solves_its_equation() -> None:
    found = paired_score_interval(9, 1, 30)
    assert found.low < 8 / 30 < found.high

    def statistic(delta: float) -> float:
        linear = -10 + (60 - 8) * delta
        q = (math.sqrt(linear**2 + 8 * 30 * delta * (1 - delta)) - linear) / 120
        return (8 - 30 * delta) / math.sqrt(30 * (2 * q + delta * (1 - delta)))

    assert statistic(found.low) == pytest.approx(1.959964, abs=1e-6)
    assert statistic(found.high) == pytest.approx(-1.959964, abs=1e-6)


@settings(deadline=None)
@given(pairs)
def test_tango_holds_the_estimate_and_mirrors(case: tuple[int, int, int]) -> None:
    gained, lost, same = case
    n = gained + lost + same
    found, mirrored = paired_score_interval(gained, lost, n), paired_score_interval(lost, gained, n)
    assert -1 <= found.low <= (gained - lost) / n <= found.high <= 1
    assert found.low < found.high
    assert found.low == pytest.approx(-mirrored.high, abs=1e-9)


def test_bounds_by_hand() -> None:
    nan = math.nan
    # pairs (1, 0), (missing, 1), (0, missing), (missing, missing): least −1 + 0 + 0 − 1, most −1 + 1 + 1 + 1
    found = paired_bounds([1, nan, 0, nan], [0, 1, nan, nan], (0, 1))
    assert (found.low, found.high) == (-0.5, 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30))
def test_bounds_hold_the_change_had_all_come_out(rows: list[tuple[bool, bool, int]]) -> None:
    old, new = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows], float)
    lost = np.array([r[2] for r in rows])
    seen = paired_bounds(np.where(lost & 1, np.nan, old), np.where(lost & 2, np.nan, new), (0, 1))
    assert seen.low - 1e-12 <= (new - old).mean() <= seen.high + 1e-12


def test_unequal_arms_are_refused() -> None:
    with pytest.raises(InputError, match="item by item"):
        paired_change([1, 0], [1])
    with pytest.raises(InputError, match="two items"):
        paired_change([1], [0])
    with pytest.raises(InputError, match="impossible"):
        paired_score_interval(6, 6, 10)
