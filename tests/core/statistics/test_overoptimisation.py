"""Gao et al.'s forms: by hand, recovered from their own points, refused where they are not determined."""

import math

import pytest

from trueline.core.errors import InputError
from trueline.core.statistics.overoptimisation import fit_overoptimisation


def test_the_forms_are_recovered_with_their_turns():
    d = [0.5, 1.0, 2.0, 3.0]
    # best-of-n with α = 1, β = 0.2: gains d (1 − 0.2 d) = .45, .8, 1.2, 1.2; it turns at 1 / 0.4 = 2.5
    found = fit_overoptimisation(d, [0.45, 0.8, 1.2, 1.2], "best_of_n")
    assert (found.alpha, found.beta, found.turn) == pytest.approx((1.0, 0.2, 2.5))
    assert found.residual < 1e-9 and found.gain(2.0) == pytest.approx(1.2) and found.gain(0.0) == 0
    # rl with α = 1, β = 0.5: it turns at exp(1 / 0.5 − 1) = e
    found = fit_overoptimisation(d, [x * (1 - 0.5 * math.log(x)) for x in d], "rl")
    assert (found.alpha, found.beta, found.turn) == pytest.approx((1.0, 0.5, math.e))
    assert found.gain(1.0) == pytest.approx(1.0) and found.gain(0.0) == 0


def test_a_gain_that_never_turns_says_so():
    assert fit_overoptimisation([1.0, 2.0, 3.0], [1.0, 2.4, 4.2], "best_of_n").turn is None


@pytest.mark.parametrize(
    ("d", "r"), [([1.0, 2.0], [1.0, 1.0]), ([0.0, 1.0, 2.0], [0, 1, 1]), ([1, 2, 3], [1, 2])]
)
def test_too_little_is_refused(d, r):
    with pytest.raises(InputError, match="three or more different distances above 0"):
        fit_overoptimisation(d, r, "rl")
