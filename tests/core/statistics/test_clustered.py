"""Clustered means: the formula by hand, the design effect's known cases, the care for few clusters."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from trueline.core.errors import InputError
from trueline.core.statistics import clustered_mean, design_effect, effective_n
from trueline.core.statistics.arrays import encode
from trueline.core.statistics.clustered import safe_clustered_mean, safe_effective_n, tail_df

scores = st.lists(st.tuples(st.integers(0, 5), st.floats(-3, 3)), min_size=4, max_size=60).filter(
    lambda rows: len({c for c, _ in rows}) > 1
)


def test_the_clustered_error_by_hand() -> None:
    # Mean ½. Cluster sums of deviations: a: ½ + ½ = 1, b: −½ − ½ = −1, c: ½ − ½ = 0. SE = √(1 + 1 + 0)/6.
    found = clustered_mean([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"])
    assert found.value == 0.5
    assert found.se == pytest.approx(math.sqrt(2) / 6)
    assert (found.df, found.n, found.clusters) == (2, 6, 3)
    assert found.high == pytest.approx(0.5 + 4.302653 * math.sqrt(2) / 6, abs=1e-6)
    assert found.low == pytest.approx(1 - found.high)


def test_the_design_effect_of_repeated_items_is_their_number() -> None:
    values = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 4)
    clusters = np.repeat(np.arange(5), 4)
    assert design_effect(values, clusters) == pytest.approx(4)
    assert effective_n(values, clusters) == pytest.approx(5)
    assert design_effect([0.0, 1.0, 1.0], [0, 1, 2]) == pytest.approx(1)
    assert math.isnan(design_effect([1.0, 1.0], [0, 1]))


@settings(deadline=None)
@given(scores)
def test_moving_and_stretching_scores(rows: list[tuple[int, float]]) -> None:
    clusters, values = [c for c, _ in rows], np.array([v for _, v in rows])
    plain, moved = clustered_mean(values, clusters), clustered_mean(3 * values + 2, clusters)
    assert moved.value == pytest.approx(3 * plain.value + 2, abs=1e-9)
    assert moved.se == pytest.approx(3 * plain.se, abs=1e-9)
    renamed = clustered_mean(values, [f"c{c}" for c in clusters])
    assert renamed == plain


@settings(deadline=None)
@given(scores)
def test_the_safe_versions_are_never_bolder(rows: list[tuple[int, float]]) -> None:
    codes, count = encode([c for c, _ in rows], len(rows))
    values = np.array([v for _, v in rows])
    plain, safe = clustered_mean(values, codes), safe_clustered_mean(values, codes, count)
    assert safe.low <= plain.low + 1e-9 and safe.high >= plain.high - 1e-9
    assert 1 <= safe_effective_n(values, codes, count) <= len(rows) + 1e-9


def test_single_items_give_the_textbook_error() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.9, 0.6])
    safe = safe_clustered_mean(values, np.arange(5), 5)
    assert safe.se == pytest.approx(values.std(ddof=1) / math.sqrt(5))


def test_heavy_tails_cost_degrees_of_freedom() -> None:
    even = np.array([1.0, -1.0] * 10)  # kurtosis 1
    assert tail_df(even) == 19
    spike = np.r_[np.zeros(19), 1.0]  # kurtosis 20: 2·20/19
    assert tail_df(spike) == pytest.approx(40 / 19)
    assert tail_df(np.zeros(7)) == 6


def test_effective_n_where_no_value_differs_counts_clusters() -> None:
    codes = np.repeat(np.arange(5), 4)
    assert safe_effective_n(np.zeros(20), codes, 5) == pytest.approx(5)


def test_effective_n_by_hand() -> None:
    # Cluster totals ±2 about the mean, twice each: design effect 2·(4/3), kurtosis 1, so t has 3 df.
    values, codes = np.array([1.0, 1, 0, 0, 1, 1, 0, 0]), np.repeat(np.arange(4), 2)
    ratio = 1.959964 / float(special.stdtrit(3, 0.975))
    assert safe_effective_n(values, codes, 4) == pytest.approx(max(1.0, 8 / (2 * 4 / 3) * ratio**2), rel=1e-6)


def test_one_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="two clusters"):
        clustered_mean([1.0, 2.0], ["a", "a"])
    with pytest.raises(InputError, match="one for each"):
        clustered_mean([1.0, 2.0], ["a"])
    with pytest.raises(InputError, match="NaN"):
        clustered_mean([1.0, math.nan])
