"""Statistics of measures: weights act as repetitions, order and scale do not matter."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.measures.capability.perplexity import bits_per_byte, perplexity
from trueline.measures.data_safety.bbq import bias, bias_ambiguous
from trueline.measures.model_safety.calibration import ece_mass, ece_width

STATISTICS = [perplexity, bits_per_byte, bias, bias_ambiguous, ece_width, ece_mass]


def draw_columns(rng, n):
    non_unknown = rng.integers(0, 2, n).astype(float)
    return {
        "nll": rng.exponential(50, n),
        "tokens": rng.integers(1, 60, n).astype(float),
        "bytes": rng.integers(1, 300, n).astype(float),
        "non_unknown": non_unknown,
        "biased": non_unknown * rng.integers(0, 2, n),
        "correct": rng.integers(0, 2, n).astype(float),
        # Few distinct values, so that ties are common.
        "confidence": np.round(rng.uniform(0.25, 1, n), 1),
    }


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda f: f.__name__)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_weights_repeat_and_order_does_not_matter(statistic, seed, n):
    rng = np.random.default_rng(seed)
    columns = draw_columns(rng, n)
    weights = rng.integers(0, 4, n).astype(float)
    if weights.sum() == 0:
        return
    value = statistic(columns, weights)
    repeated = {name: np.repeat(column, weights.astype(int)) for name, column in columns.items()}
    assert same(value, statistic(repeated, np.ones(int(weights.sum()))))
    order = rng.permutation(n)
    assert same(value, statistic({k: c[order] for k, c in columns.items()}, weights[order]))
    assert same(value, statistic(columns, weights * 8.0))
    # Items without the fields (NaN) change nothing.
    padded = {name: np.append(column, np.nan) for name, column in columns.items()}
    assert same(value, statistic(padded, np.append(weights, 2.0)))


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda f: f.__name__)
def test_values_stay_in_their_range(statistic):
    rng = np.random.default_rng(3)
    for _ in range(50):
        value = statistic(draw_columns(rng, 30), rng.exponential(1, 30))
        low, high = (-1, 1) if statistic in (bias, bias_ambiguous) else (0, math.inf)
        assert low <= value <= high


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda f: f.__name__)
def test_resampling_is_fast(statistic):
    rng = np.random.default_rng(0)
    columns = draw_columns(rng, 1000)
    weights = rng.exponential(1, (200, 1000))
    started = time.process_time()
    for row in weights:
        statistic(columns, row)
    assert time.process_time() - started < 1.0  # 5 ms a call: a thousand replicates stay under five seconds
