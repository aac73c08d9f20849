"""Krippendorff's α on his published example, Cohen's κ by hand, and what weights must mean."""

import math

import numpy as np
import pytest

from trueline.core.statistics import cohen_kappa, krippendorff_alpha

nan = math.nan
# Four observers and twelve units, of which the last has one rating (Krippendorff, "Computing Krippendorff's
# alpha-reliability", 2011, section C): nominal .743, interval .849.
EXAMPLE = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
).T


def test_the_published_example() -> None:
    assert krippendorff_alpha(EXAMPLE) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(EXAMPLE, level="interval") == pytest.approx(0.849, abs=5e-4)


def test_two_raters_by_hand() -> None:
    # Units 11, 11, 00, 10: n = 8, ones 5, zeros 3. D_o = 2/8; D_e = 2·5·3/(8·7); α = 1 − (1/4)/(30/56).
    ratings = np.array([[1, 1], [1, 1], [0, 0], [1, 0]], dtype=float)
    assert krippendorff_alpha(ratings) == pytest.approx(1 - 0.25 * 56 / 30)
    assert krippendorff_alpha(ratings, level="interval") == pytest.approx(1 - 0.25 * 56 / 30)
    # p_o = ¾; p_e = ¾·½ + ¼·½ = ½.
    assert cohen_kappa(ratings[:, 0], ratings[:, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("level", ["nominal", "interval"])
def test_a_weight_of_two_counts_a_unit_twice(level: str) -> None:
    weights = np.array([2.0, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1])
    doubled = np.repeat(EXAMPLE, weights.astype(int), axis=0)
    # Weights are relative, so D_e's n − 1 keeps the number of units that were seen: equal up to 1/n.
    one, two = (krippendorff_alpha(x, w, level=level) for x, w in ((EXAMPLE, weights), (doubled, None)))
    assert one == pytest.approx(two, abs=0.02)
    assert krippendorff_alpha(EXAMPLE, 7 * weights, level=level) == pytest.approx(one)
    first, second = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 0, 1])
    repeated = np.array([2, 1, 1, 1])
    assert cohen_kappa(first, second, repeated / 3) == pytest.approx(
        cohen_kappa(np.repeat(first, repeated), np.repeat(second, repeated))
    )


def test_undefined_is_nan() -> None:
    assert math.isnan(krippendorff_alpha(np.array([[1.0, nan], [nan, 0.0]])))
    assert math.isnan(krippendorff_alpha(np.ones((5, 2))))
    assert math.isnan(cohen_kappa(np.ones(3), np.ones(3)))
