"""Seeds and items crossed: mean squares by hand, the two estimands apart, clusters."""

import math

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.core.statistics import method_estimate


def test_by_hand() -> None:
    # Rows 1 2 / 3 6: mean 3; MS_seeds = 2·(1.5² + 1.5²) = 9, MS_items = 2·(1 + 1) = 4, rest ±½: MS = 1.
    found = method_estimate([[1.0, 2.0], [3.0, 6.0]])
    assert found.value == 3
    assert found.se == pytest.approx(math.sqrt((9 + 4 - 1) / 4))
    assert found.df == pytest.approx(144 / (81 + 16 + 1))
    assert not found.claimable


def test_seeds_dominate_when_they_vary_most() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 1)) + 0.01 * rng.normal(size=(3, 400))
    found = method_estimate(scores)
    per_seed = scores.mean(axis=1)
    assert found.df == pytest.approx(2, rel=0.01)
    # t₂ = 4.30 over √3: the half-width is 2.5 sd between seeds.
    assert (found.high - found.low) / 2 == pytest.approx(2.484 * per_seed.std(ddof=1), rel=0.01)


def test_five_seeds_make_a_claim() -> None:
    rng = np.random.default_rng(1)
    assert method_estimate(rng.normal(size=(5, 30))).claimable
    assert not method_estimate(rng.normal(size=(4, 30))).claimable


def test_the_variance_is_never_below_one_factor_alone() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        scores = rng.normal(size=(4, 20))
        per_item = scores.mean(axis=0).std(ddof=1) / math.sqrt(20)
        per_seed = scores.mean(axis=1).std(ddof=1) / 2
        assert method_estimate(scores).se >= max(per_item, per_seed) - 1e-12


def test_clusters_of_items() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=(5, 12))
    repeated = np.repeat(base, 4, axis=1)
    whole = method_estimate(repeated, np.repeat(np.arange(12), 4))
    assert (whole.value, whole.se) == pytest.approx((base.mean(), method_estimate(base).se))
    assert whole.se > method_estimate(repeated).se
    assert (whole.items, whole.clusters) == (48, 12)


def test_unequal_clusters_keep_the_mean_of_items() -> None:
    scores = np.random.default_rng(4).normal(size=(3, 7))
    assert method_estimate(scores, list("aabbbcd")).value == pytest.approx(scores.mean())


def test_bad_tables() -> None:
    with pytest.raises(InputError, match="two of each"):
        method_estimate(np.ones((1, 5)))
    with pytest.raises(InputError, match="dimension"):
        method_estimate(np.ones(5))
    with pytest.raises(InputError, match="NaN"):
        method_estimate([[1.0, math.nan], [1.0, 2.0]])
