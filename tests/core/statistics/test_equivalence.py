"""Two one-sided tests: worked values and the interval that they invert."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from trueline.core.errors import InputError
from trueline.core.statistics import tost


def test_by_hand() -> None:
    # d = .01, SE = .02, margin .05: the worse side is t = (.05 − .01)/.02 = 2 on 30 df.
    found = tost(0.01, 0.02, 30, 0.05)
    assert found.p == pytest.approx(1 - float(special.stdtr(30, 2.0)))
    assert found.equivalent
    assert found.high == pytest.approx(0.01 + 1.697261 * 0.02, abs=1e-7)


def test_no_difference_seen_is_not_equivalence() -> None:
    assert not tost(0.0, 0.05, 30, 0.05).equivalent


@settings(deadline=None)
@given(st.floats(-1, 1), st.floats(0.001, 1), st.floats(1, 200), st.floats(0.01, 2))
def test_the_test_inverts_its_interval(d: float, se: float, df: float, margin: float) -> None:
    found = tost(d, se, df, margin)
    if abs(found.p - 0.05) > 1e-9:
        assert found.equivalent == (-margin < found.low and found.high < margin)


def test_certain_and_normal_cases() -> None:
    assert tost(0.01, 0.0, 10, 0.05).equivalent
    assert not tost(0.06, 0.0, 10, 0.05).equivalent
    assert tost(0.0, 0.02, math.inf, 0.05).p == pytest.approx(float(special.ndtr(-2.5)))


def test_a_margin_must_be_stated() -> None:
    with pytest.raises(InputError, match="margin"):
        tost(0.0, 0.1, 10, 0.0)
    with pytest.raises(InputError, match="standard error"):
        tost(0.0, -0.1, 10, 0.1)
