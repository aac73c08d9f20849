"""Betting confidence sequences: they hold throughout, shrink, and end at the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.statistics import betting_sequence, cluster_draws


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_never_widening_and_whole_at_the_end(values: list[float]) -> None:
    found = betting_sequence(values, len(values), grid=101)
    mean = np.mean(values)
    assert (found.low <= found.high + 1e-9).all()
    assert found.low[-1] == pytest.approx(mean) and found.high[-1] == pytest.approx(mean)
    if (found.low <= mean + 1e-9).all() and (found.high >= mean - 1e-9).all():
        assert (np.diff(found.low) >= -1e-12).all() and (np.diff(found.high) <= 1e-12).all()


def test_what_was_seen_bounds_the_mean() -> None:
    # Three of four seen, all 1: the mean is at least ¾ whatever the last one says.
    assert betting_sequence([1.0, 1.0, 1.0], 4).low[-1] == pytest.approx(0.75)


def test_the_truth_is_held_at_every_moment() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        population = rng.permutation((np.arange(120) < 30).astype(float))
        found = betting_sequence(population[:80], 120, grid=101)
        held += bool((found.low <= 0.25).all() and (found.high >= 0.25).all())
    assert held >= 181  # 95 % less three Monte Carlo errors


def test_it_learns_sooner_than_it_counts() -> None:
    rng = np.random.default_rng(1)
    population = rng.permutation((np.arange(2000) < 100).astype(float))
    found = betting_sequence(population[:400], 2000)
    assert found.high[-1] < 0.12 and found.low[-1] <= 0.05 <= found.high[-1]


def test_other_bounds() -> None:
    values = np.array([0.1, 0.7, 0.4, 0.9, 0.3])
    plain, scaled = betting_sequence(values, 20), betting_sequence(10 * values - 3, 20, bounds=(-3.0, 7.0))
    assert scaled.low == pytest.approx(10 * plain.low - 3)
    assert scaled.high == pytest.approx(10 * plain.high - 3)


def test_clusters_as_draws() -> None:
    # Four clusters of 1, 2, 2 and 3 items: x_c = (4/8)·sum, and their mean is the mean of the items.
    values, clusters = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0], list("abbccddd")
    draws = cluster_draws(values, clusters, items=8, population=4, largest=3)
    assert draws.values == pytest.approx([0.5, 0.5, 1.0, 0.5])
    assert draws.values.mean() == pytest.approx(np.mean(values))
    assert draws.bounds == (0.0, 1.5)
    found = betting_sequence(draws.values, draws.population, bounds=draws.bounds)
    assert found.low[-1] == pytest.approx(5 / 8)


def test_bad_draws() -> None:
    with pytest.raises(InputError, match="without replacement"):
        betting_sequence([1.0, 0.0], 1)
    with pytest.raises(InputError, match="outside"):
        betting_sequence([2.0], 10)
    with pytest.raises(InputError, match="finite"):
        betting_sequence([1.0], 10, bounds=(0.0, np.inf))
    with pytest.raises(InputError, match="do not fit"):
        cluster_draws([1.0, 1.0], ["a", "a"], items=10, population=4, largest=1)
