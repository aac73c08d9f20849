"""Expected calibration error under weights. n items, M bins; all functions are pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bins = NDArray[np.intp]
BINS = 15  # the number of bins of Guo et al. 2017, arXiv 1706.04599


def equal_width_bins(confidence: Floats, bins: int = BINS) -> Bins:
    """Bin of each confidence: bin m holds ((m)/M, (m+1)/M], the first one also 0. Shape [n]."""
    place: Bins = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.intp)
    return place


def equal_mass_bins(confidence: Floats, weights: Floats, bins: int = BINS) -> Bins:
    """Bin of each item when bins hold equal weight, for weights of shape [n] or [r, n]; the same shape.

    An item is placed by the midpoint of its confidence's share of the total weight; items of equal confidence
    stay together, so the result depends neither on their order nor on whether an item is repeated or
    weighted.
    """
    values, place = np.unique(confidence, return_inverse=True)
    mass = _sums(weights, place, len(values))
    total = mass.sum(axis=-1, keepdims=True)
    midpoint = (np.cumsum(mass, axis=-1) - mass / 2) / total
    bin_of: Bins = np.minimum((midpoint * bins).astype(np.intp), bins - 1)[..., place]
    return bin_of


def calibration_error(confidence: Floats, correct: Floats, weights: Floats, bin_of: Bins) -> float:
    """ECE = Σ_b (W_b/W) · |acc_b − conf_b| = Σ_b |Σ_{i in b} w_i (correct_i − confidence_i)|/W."""
    return float(calibration_errors(confidence, correct, weights[None], bin_of)[0])


def calibration_errors(confidence: Floats, correct: Floats, weights: Floats, bin_of: Bins) -> Floats:
    """ECE under each row of weights [r, n]; ``bin_of`` [n], or [r, n] where bins go by weight. Shape [r]."""
    gaps = _sums(weights * (correct - confidence), bin_of, int(bin_of.max()) + 1)
    errors: Floats = np.abs(gaps).sum(axis=-1) / weights.sum(axis=-1)
    return errors


def _sums(values: Floats, place: Bins, places: int) -> Floats:
    """Σ of the values [..., n] at each place, row by row: [..., places]. ``place`` is [n] or as the values."""
    rows = np.arange(values.size // values.shape[-1]).reshape(*values.shape[:-1], 1)
    flat = np.broadcast_to(place + places * rows, values.shape)
    sums = np.bincount(flat.ravel(), weights=values.ravel(), minlength=places * rows.size)
    return sums.astype(np.float64, copy=False).reshape(*values.shape[:-1], places)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """One bar of a reliability diagram: mean confidence and accuracy of the ``n`` items in the bin ``index``."""

    index: int
    n: int
    confidence: float
    accuracy: float


def reliability(confidence: Floats, correct: Floats, bin_of: Bins) -> tuple[ReliabilityBin, ...]:
    """The bins that hold items, lowest first; a calibrated model has accuracy = confidence in each."""
    return tuple(
        ReliabilityBin(
            index=int(index),
            n=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(correct[inside].mean()),
        )
        for index in np.unique(bin_of)
        for inside in [bin_of == index]
    )
