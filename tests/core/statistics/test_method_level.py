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


def test_missing_scores_by_hand() -> None:
    # Rows 1 2 / 3 –: mean 2; deviations −1 0 / 1 · times 4/3; MS_seeds = 2·(4/9 + 4/9), MS_items = 0: the seeds alone.
    found = method_estimate([[1.0, 2.0], [3.0, math.nan]])
    assert (found.value, found.missing) == (2, 1)
    assert found.se == pytest.approx(2 / 3) and found.df == 1


def test_an_item_without_any_score_is_left_out() -> None:
    scores = np.random.default_rng(5).normal(size=(4, 6))
    wider = np.insert(scores, 2, math.nan, axis=1)
    known, found = method_estimate(scores, list("aabbcd")), method_estimate(wider, list("aaxbbcd"))
    assert (found.value, found.se, found.items, found.missing) == (known.value, known.se, 6, 4)


def test_unequal_clusters_of_one_value_leave_no_error() -> None:
    assert method_estimate(np.full((3, 7), 0.4), list("aabbbcd")).se == pytest.approx(0, abs=1e-12)


def test_intervals_hold_with_missing_scores() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(300):
        scores = 0.5 * rng.normal(size=(5, 1)) + rng.normal(size=(1, 40)) + rng.normal(size=(5, 40))
        scores[rng.random(scores.shape) < 0.2] = math.nan
        found = method_estimate(scores)
        held += found.low <= 0 <= found.high
    assert held / 300 >= 0.92


def test_bad_tables() -> None:
    with pytest.raises(InputError, match="two of each"):
        method_estimate(np.ones((1, 5)))
    with pytest.raises(InputError, match="dimension"):
        method_estimate(np.ones(5))
    with pytest.raises(InputError, match="infinity"):
        method_estimate([[1.0, math.inf], [1.0, 2.0]])
    with pytest.raises(InputError, match="a seed has no score"):
        method_estimate([[math.nan, math.nan], [1.0, 2.0]])
