"""Laws of scale: exact laws are found, noise is not bent into one, and too few models give none."""

import numpy as np
import pytest
from scipy import stats

from trueline.core.errors import InputError
from trueline.core.statistics.scaling import can_fit, capability_scores, fit_law, tracking

SIZES = np.array([1e1, 1e2, 1e3, 1e4, 1e5])
NOISE = np.array([-0.01, 0.0, 0.01])


def seeds(values, spread=1.0):
    """Three models a size whose mean is the value."""
    x = np.repeat(SIZES if len(values) == 5 else np.logspace(1, 5, len(values)), 3)
    return x, (np.asarray(values)[:, None] + spread * NOISE).ravel()


def test_a_line_by_hand():
    law = fit_law(*seeds([0.9, 0.7, 0.5, 0.3, 0.1]))
    assert law.form == "line" and law.coefficients == pytest.approx((1.1, -0.2))
    assert law.slope == pytest.approx(-0.2) and law.residuals == pytest.approx([0.0] * 5, abs=1e-12)
    assert law.seed_sd == pytest.approx(0.01) and law.lack_of_fit == pytest.approx(1.0)
    assert law.predict(1e6) == pytest.approx(-0.1)


def test_the_slope_has_the_error_of_a_regression_of_size_means():
    values = [0.9, 0.75, 0.45, 0.35, 0.1]
    law, known = fit_law(*seeds(values)), stats.linregress(np.log10(SIZES), values)
    reach = stats.t.ppf(0.975, 3) * known.stderr
    assert (law.slope_low, law.slope_high) == pytest.approx((known.slope - reach, known.slope + reach))


def test_lack_of_fit_by_hand():
    # A V: means 1, 0, −1, 0, 1 about a flat line at 0.2; F = (3 · Σ r²/3)/s² on 3 and 10 degrees of freedom.
    law = fit_law(*seeds([1.0, 0.0, -1.0, 0.0, 1.0], spread=30))
    residuals = np.array([0.8, -0.2, -1.2, -0.2, 0.8])
    assert law.residuals == pytest.approx(residuals)
    expected = stats.f.sf(3 * (residuals**2).sum() / 3 / 0.09, 3, 10)
    assert law.lack_of_fit == pytest.approx(expected) and law.lack_of_fit < 1e-3


def test_a_power_law_is_found_and_preferred():
    x = np.logspace(1, 5, 7)
    values = 0.2 + 3 * x**-0.4
    law = fit_law(*seeds(values, spread=0.0))
    assert law.form == "power" and law.coefficients == pytest.approx((0.2, 3.0, 0.4), rel=1e-3)
    assert law.left_out["power"] < 0.01 * law.left_out["line"]
    assert law.predict(1e9) == pytest.approx(0.2, abs=0.01)


def test_large_numbers_do_not_overflow():
    x = np.repeat(np.logspace(8, 13, 6), 3)
    assert np.isfinite(fit_law(x, np.tile([1.0, 1.1, 0.9], 6)).residuals).all()


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ([1.0, 2, 3, 4] * 3, "4 sizes with 3 seeds"),
        ([*[1.0, 2, 3, 4] * 3, 5, 5], "5 sizes with 2 seeds"),
        ([], "0 sizes"),
    ],
)
def test_too_few_sizes_or_seeds_give_no_law(scales, reason):
    assert reason in can_fit(scales)
    if scales:
        with pytest.raises(InputError, match=reason):
            fit_law(scales, scales)


def test_scales_must_be_positive():
    with pytest.raises(InputError, match="above 0"):
        fit_law([0.0] * 15, [0.0] * 15)


class TestCapability:
    def test_the_first_component_points_upwards(self):
        rising = np.arange(8.0)
        scores = capability_scores(np.stack([rising, 2 * rising + 1, np.full(8, 3.0)], axis=1))
        # Both benchmarks that vary say the same: √2 times their standard score.
        assert scores == pytest.approx(np.sqrt(2) * (rising - 3.5) / rising.std())
        with pytest.raises(InputError, match="no benchmark differs"):
            capability_scores(np.ones((8, 2)))

    def test_what_ranks_as_capability_does_is_flagged(self):
        capability = np.arange(10.0)
        assert tracking(capability**3, capability).only_capability
        assert tracking(-capability, capability).only_capability
        assert not tracking([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], capability).only_capability

    def test_the_interval_by_hand(self):
        # ρ = 1 − 6·2/(8·63): z ± 1.96·√((1 + ρ²/2)/5).
        found = tracking([1, 2, 3, 4, 5, 6, 8, 7], np.arange(8.0))
        rho = 1 - 12 / (8 * 63)
        assert found.rho == pytest.approx(rho)
        assert found.low == pytest.approx(np.tanh(np.arctanh(rho) - 1.959964 * np.sqrt((1 + rho**2 / 2) / 5)))

    def test_seven_models_tell_nothing(self):
        with pytest.raises(InputError, match="from 8 models on"):
            tracking(np.arange(7.0), np.arange(7.0))
        with pytest.raises(InputError, match="same value"):
            tracking(np.ones(8), np.arange(8.0))
