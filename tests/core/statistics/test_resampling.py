"""Cluster-weight resampling: agreement with formulas, determinism, undefined and degenerate replicates."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import special

from trueline.core.errors import InputError
from trueline.core.measure import Floats
from trueline.core.statistics import clustered_mean, resample, resample_change
from trueline.core.statistics import resampling as module
from trueline.core.statistics.resampling import summarise_replicates


def mean(columns: Mapping[str, Floats], weights: Floats) -> float:
    return float(weights @ columns["x"] / weights.sum())


def ratio(columns: Mapping[str, Floats], weights: Floats) -> float:
    return float(np.divide(weights @ columns["x"], weights @ columns["y"]))


def test_a_mean_agrees_with_the_clustered_formula() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(60), 3)
    values = rng.normal(size=180) + np.repeat(rng.normal(size=60), 3)
    formula = clustered_mean(values, clusters)
    found = resample(mean, {"x": values}, clusters, replicates=4000)
    assert found.value == pytest.approx(formula.value)
    assert found.se == pytest.approx(formula.se * math.sqrt(60 / 59), rel=0.05)
    assert found.low == pytest.approx(formula.low, abs=0.12 * formula.se)
    assert found.high == pytest.approx(formula.high, abs=0.12 * formula.se)
    assert not found.biased and found.undefined == 0


def test_the_same_seed_and_any_block_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"x": np.arange(20.0)}
    first = resample(mean, columns, seed=3, replicates=200)
    monkeypatch.setattr(module, "BLOCK", 137)
    assert resample(mean, columns, seed=3, replicates=200) == first
    assert resample(mean, columns, seed=4, replicates=200) != first


def test_both_arms_get_the_same_weights() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=80)
    constant = resample_change(mean, {"x": before}, {"x": before + 0.25})
    assert constant.value == pytest.approx(0.25)
    assert constant.se == pytest.approx(0, abs=1e-12)
    assert math.isnan(constant.low), "no variation, so resampling gives no interval"
    noisy = resample_change(mean, {"x": before}, {"x": before + 0.25 + 0.1 * rng.normal(size=80)})
    assert noisy.se == pytest.approx(0.1 / math.sqrt(80), rel=0.3)
    assert noisy.p < 0.01


def test_undefined_replicates_open_the_ends() -> None:
    draws = np.linspace(-1, 1, 1000)
    whole = summarise_replicates(0.0, draws, 100)
    some = summarise_replicates(0.0, np.r_[draws, [math.nan] * 10], 100)
    assert some.undefined == 10 and some.low < whole.low and some.high > whole.high
    many = summarise_replicates(0.0, np.r_[draws, [math.nan] * 200], 100)
    assert (many.low, many.high, many.undefined) == (-math.inf, math.inf, 200)


def test_an_undefined_statistic_stays_undefined() -> None:
    found = resample(ratio, {"x": np.zeros(10), "y": np.zeros(10)}, replicates=100)
    assert math.isnan(found.value) and math.isnan(found.low) and found.undefined == 100


def test_a_slice_never_vanishes() -> None:
    # Two positives among 60 would be lost in 13 % of multinomial replicates.
    y = np.r_[1.0, 1.0, np.zeros(58)]
    assert resample(ratio, {"x": np.ones(60) * y, "y": y}, replicates=500).undefined == 0


def test_levels_are_those_of_t() -> None:
    # Replicates that are exact normal quantiles: no bias, so the ends are ±t₉·√(11/9).
    draws = special.ndtri((np.arange(20000) + 0.5) / 20000)
    found = summarise_replicates(0.0, draws, 10)
    assert found.high == pytest.approx(2.262157 * math.sqrt(11 / 9), rel=0.01)
    assert found.low == pytest.approx(-found.high)
    assert found.p == pytest.approx(1.0)


def test_p_and_interval_agree() -> None:
    draws = special.ndtri((np.arange(20000) + 0.5) / 20000)
    reach = 2.262157 * math.sqrt(11 / 9)
    for shift, crosses in ((reach * 0.98, True), (reach * 1.02, False)):
        found = summarise_replicates(shift, draws + shift, 10)
        assert (found.low < 0) is crosses
        assert (found.p > 0.05) is crosses


def test_a_biased_norm_reaches_down_to_zero() -> None:
    # |mean| of noise: replicates lie further out than the value, as with the ECE of a calibrated model.
    rng = np.random.default_rng(5)
    table = rng.normal(size=(200, 10))
    columns = {f"c{i}": table[:, i] for i in range(10)}

    def norm(named: Mapping[str, Floats], weights: Floats) -> float:
        return float(sum(abs(weights @ column) for column in named.values()) / weights.sum())

    found = resample(norm, columns)
    assert found.biased and found.low <= 0 < found.value < found.high


def test_bad_input() -> None:
    with pytest.raises(InputError, match="two clusters"):
        resample(mean, {"x": np.ones(3)}, ["a", "a", "a"])
    with pytest.raises(InputError, match="lengths"):
        resample(mean, {"x": np.ones(3), "y": np.ones(4)})
    with pytest.raises(InputError, match="at least 100"):
        resample(mean, {"x": np.ones(3)}, replicates=10)
    with pytest.raises(InputError, match="pair them"):
        resample_change(mean, {"x": np.ones(3)}, {"x": np.ones(4)})


def test_a_change_far_from_zero_has_a_small_p_with_few_clusters() -> None:
    # Twelve clusters of equal size, means 0.4 to 0.6: t = mean/(sd/√12) ≈ 26 on 11 df, far beyond 1/(R + 1).
    values = np.repeat(np.linspace(0.4, 0.6, 12), 4)
    clusters = [str(i) for i in np.repeat(np.arange(12), 4)]
    result = resample(
        lambda columns, weights: float(weights @ columns["x"] / weights.sum()), {"x": values}, clusters
    )
    assert result.low > 0.35
    assert result.p < 1e-6
