"""A value against scale: parameters, data or training steps.

Two forms are fitted by least squares to the size means ȳ (mean over seeds at one x), each size with equal weight:
    line    y = a + b·log10 x
    power   y = c + a·x^(−b),  b > 0
and the one that predicts sizes left out in turn with the smaller error is kept (power, of three numbers, is tried from
six sizes on). A law is fitted only from five sizes with three seeds each on: with
one seed a size, what bends is not told from noise. ``lack_of_fit`` is the F test of the residuals of the size means
against the spread of seeds (Draper and Smith 1998, section 2.1): small, the form does not hold, whatever its slope.

Example: values 0.9, 0.7, 0.5, 0.3, 0.1 at 10, 100, ... 100,000 are the line 1.1 − 0.2·log10 x.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from trueline.core.errors import InputError

from .arrays import Floats, floats, normal_quantile, t_quantile

Form = Literal["line", "power"]
FEWEST_SIZES, FEWEST_SEEDS, FEWEST_MODELS = 5, 3, 8
POWER_SIZES = 6
EXPONENTS = (0.01, 3.0)
TRACKS = 0.5  # |ρ| which the whole interval must exceed for a measure to be called one of capability alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A fitted form. ``slope`` is the change of y over a factor of ten with its 95 % interval (of the line through the
    size means, t on sizes − 2 degrees of freedom, whichever form is kept); ``residuals`` those of the size means, in
    order of x; ``seed_sd`` the spread of seeds at one size; ``left_out`` the root mean square error on sizes left out,
    by form."""

    form: Form
    coefficients: tuple[float, ...]
    slope: float
    slope_low: float
    slope_high: float
    sizes: tuple[float, ...]
    residuals: tuple[float, ...]
    seed_sd: float
    lack_of_fit: float
    left_out: dict[Form, float]
    n: int

    def predict(self, x: float) -> float:
        """The law's y; outside the fitted sizes it is extrapolation."""
        return float(_FORMS[self.form](np.array([x]), self.coefficients)[0])


def can_fit(scales: ArrayLike) -> str | None:
    """Why no law is fitted to models of these scales, or None."""
    sizes, counts = np.unique(np.asarray(scales, dtype=float), return_counts=True)
    if len(sizes) >= FEWEST_SIZES and counts.min() >= FEWEST_SEEDS:
        return None
    fewest = int(counts.min()) if len(counts) else 0
    return (
        f"{len(sizes)} sizes with {fewest} seeds or more each: a law is fitted from {FEWEST_SIZES} sizes with "
        f"{FEWEST_SEEDS} seeds each on"
    )


def fit_law(scales: ArrayLike, values: ArrayLike) -> Law:
    """The law of models by (scale > 0, value). Raises InputError for too few sizes or seeds."""
    x, y = floats(scales, what="scales"), floats(values, what="values")
    if len(x) != len(y) or (x <= 0).any():
        raise InputError(f"{len(x)} scales and {len(y)} values: give as many of each, scales above 0.")
    reason = can_fit(x)
    if reason is not None:
        raise InputError(f"{reason}; show the points without a law.")
    sizes, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    means: Floats = np.bincount(place, y) / counts
    forms: list[Form] = ["line", "power"] if len(sizes) >= POWER_SIZES else ["line"]
    left_out = {form: _left_out(form, sizes, means) for form in forms}
    form = min(forms, key=lambda name: left_out[name])
    coefficients = _fit(form, sizes, means)
    residuals = means - _FORMS[form](sizes, coefficients)
    within = float(((y - means[place]) ** 2).sum()) / (len(y) - len(sizes))
    slope, error = _slope(sizes, means)
    reach = t_quantile(0.95, len(sizes) - 2) * error
    return Law(
        form=form,
        coefficients=coefficients,
        slope=slope,
        slope_low=slope - reach,
        slope_high=slope + reach,
        sizes=tuple(sizes.tolist()),
        residuals=tuple(residuals.tolist()),
        seed_sd=math.sqrt(within),
        lack_of_fit=_lack_of_fit(residuals, counts, within, len(coefficients), len(y) - len(sizes)),
        left_out=left_out,
        n=len(y),
    )


def capability_scores(benchmarks: ArrayLike) -> Floats:
    """One number a model: the first principal component of its standardised benchmark scores (Ren et al. 2024, arXiv
    2407.21792), pointing the way in which the benchmarks rise. ``benchmarks`` [models, benchmarks], higher better."""
    scores = floats(benchmarks, what="benchmark scores", dimensions=2)
    spread = scores.std(axis=0)
    kept = scores[:, spread > 0]
    if not kept.shape[1]:
        raise InputError("no benchmark differs between the models, so none tells their capability.")
    standard = (kept - kept.mean(axis=0)) / kept.std(axis=0)
    _, _, directions = np.linalg.svd(standard, full_matrices=False)
    component: Floats = standard @ directions[0]
    return component if directions[0].sum() >= 0 else -component


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Spearman's ρ of a measure with capability over models, its 95 % interval, and whether the whole interval lies
    beyond ±0.5: the measure then ranks these models nearly as capability does."""

    rho: float
    low: float
    high: float
    models: int

    @property
    def only_capability(self) -> bool:
        """Whether the measure tells little but capability on these models."""
        return min(abs(self.low), abs(self.high)) > TRACKS and self.low * self.high > 0


def tracking(values: ArrayLike, capability: ArrayLike) -> Tracking:
    """Rank correlation with capability; Fisher's z with Bonett and Wright's error √((1 + ρ²/2)/(m − 3)).

    Raises InputError below eight models, or where one of the two does not vary."""
    first, second = floats(values, what="values"), floats(capability, what="capability scores")
    if len(first) != len(second) or len(first) < FEWEST_MODELS:
        raise InputError(
            f"{len(first)} values of {len(second)} models: correlation with capability is told from "
            f"{FEWEST_MODELS} models on."
        )
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise InputError("all models have the same value, so nothing can be correlated.")
    rho = float(stats.spearmanr(first, second).statistic)
    z = math.atanh(min(max(rho, -1 + 1e-9), 1 - 1e-9))
    reach = normal_quantile(0.95) * math.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    return Tracking(rho=rho, low=math.tanh(z - reach), high=math.tanh(z + reach), models=len(first))


def _line(x: Floats, coefficients: Sequence[float]) -> Floats:
    a, b = coefficients
    return a + b * np.log10(x)


def _power(x: Floats, coefficients: Sequence[float]) -> Floats:
    c, a, b = coefficients
    return c + a * x ** (-b)


_FORMS: dict[Form, Callable[[Floats, Sequence[float]], Floats]] = {"line": _line, "power": _power}


def _fit(form: Form, x: Floats, y: Floats) -> tuple[float, ...]:
    if form == "line":
        return tuple(_least_squares(np.log10(x), y)[0])
    unit = float(np.exp(np.log(x).mean()))  # powers of x/unit do not overflow

    def error(exponent: float) -> float:
        return _least_squares((x / unit) ** (-exponent), y)[1]

    best = optimize.minimize_scalar(error, bounds=EXPONENTS, method="bounded", options={"xatol": 1e-6})
    (floor, height), _ = _least_squares((x / unit) ** (-best.x), y)
    return floor, height * unit**best.x, float(best.x)


def _least_squares(column: Floats, y: Floats) -> tuple[tuple[float, float], float]:
    design = np.stack([np.ones_like(column), column], axis=1)
    (a, b), *_ = np.linalg.lstsq(design, y, rcond=None)
    return (float(a), float(b)), float(((design @ np.array([a, b]) - y) ** 2).sum())


def _left_out(form: Form, x: Floats, y: Floats) -> float:
    errors = []
    for place in range(len(x)):
        kept = np.arange(len(x)) != place
        predicted = _FORMS[form](x[~kept], _fit(form, x[kept], y[kept]))[0]
        errors.append((predicted - y[place]) ** 2)
    return math.sqrt(float(np.mean(errors)))


def _slope(x: Floats, y: Floats) -> tuple[float, float]:
    place = np.log10(x)
    (_, slope), left = _least_squares(place, y)
    spread = float(((place - place.mean()) ** 2).sum())
    return slope, math.sqrt(left / (len(x) - 2) / spread)


def _lack_of_fit(residuals: Floats, counts: np.ndarray, within: float, used: int, df: int) -> float:  # type: ignore[type-arg]
    between = float((counts * residuals**2).sum()) / (len(residuals) - used)
    if within == 0:
        return 1.0 if between <= 1e-20 else 0.0
    return float(special.fdtrc(len(residuals) - used, df, between / within))
