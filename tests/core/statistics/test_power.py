"""What a plan can detect: textbook figures, simulation, and consistency of the three functions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.statistics import paired_change, power_of, required_n, smallest_detectable_effect


def test_the_textbook_sample_size() -> None:
    # A paired t test of half a standard deviation with power 80 %: 34 pairs (sd(d) = 1).
    assert required_n(0.5, sd=1 / np.sqrt(2)) == 34
    # Large n: (1.96 + 0.8416)·√½·√(1/10000)
    found = smallest_detectable_effect(10_000, rate=0.5)
    assert found == pytest.approx(2.8016 * np.sqrt(0.5) / 100, rel=1e-3)


def test_power_matches_simulation() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1500):
        base = rng.normal(size=40)
        before, after = base + rng.normal(size=40), base + 0.5 + rng.normal(size=40)
        found = paired_change(before, after)
        hits += found.low > 0 or found.high < 0
    assert power_of(0.5, 40, sd=np.sqrt(2), correlation=0.5) == pytest.approx(hits / 1500, abs=0.035)


@settings(max_examples=30, deadline=None)
@given(
    n=st.floats(10, 5000),
    rate=st.floats(0.02, 0.98),
    power=st.floats(0.5, 0.95),
    deff=st.floats(1, 3),
    rho=st.floats(-0.5, 0.9),
)
def test_the_smallest_effect_has_the_power(
    n: float, rate: float, power: float, deff: float, rho: float
) -> None:
    options = {"rate": rate, "design_effect": deff, "correlation": rho}
    effect = smallest_detectable_effect(n, power=power, **options)
    assert power_of(effect, n, **options) == pytest.approx(power, abs=1e-6)
    fewest = required_n(effect, power=power, **options)
    assert n - 1e-6 <= fewest <= n + 1.001


def test_what_moves_it() -> None:
    plain = smallest_detectable_effect(200, rate=0.3)
    assert smallest_detectable_effect(200, rate=0.3, correlation=0.5) < plain
    assert smallest_detectable_effect(200, rate=0.3, design_effect=2) > plain
    assert smallest_detectable_effect(200, rate=0.3, alpha=0.005) > plain
    assert smallest_detectable_effect(400, rate=0.3) < plain


def test_bad_plans() -> None:
    with pytest.raises(InputError, match="either sd"):
        smallest_detectable_effect(100)
    with pytest.raises(InputError, match="either sd"):
        smallest_detectable_effect(100, sd=1, rate=0.5)
    with pytest.raises(InputError, match="rate"):
        required_n(0.1, rate=1.0)
    with pytest.raises(InputError, match="degree of freedom"):
        smallest_detectable_effect(10, rate=0.5, design_effect=10)
    with pytest.raises(InputError, match="differ from 0"):
        required_n(0.0, rate=0.5)
    with pytest.raises(InputError, match="power"):
        smallest_detectable_effect(100, rate=0.5, power=0.01)
