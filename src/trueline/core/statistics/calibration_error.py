"""Expected calibration error under weights. n items, M bins; all functions are pure."""

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
    """Bin of each item when bins hold equal weight. Shape [n].

    An item is placed by the midpoint of its confidence's share of the total weight; items of equal confidence
    stay together, so the result depends neither on their order nor on whether an item is repeated or
    weighted.
    """
    values, place = np.unique(confidence, return_inverse=True)
    mass = np.bincount(place, weights=weights, minlength=len(values))
    total = mass.sum()
    midpoint = (np.cumsum(mass) - mass / 2) / total
    bin_of: Bins = np.minimum((midpoint * bins).astype(np.intp), bins - 1)[place]
    return bin_of


def calibration_error(confidence: Floats, correct: Floats, weights: Floats, bin_of: Bins) -> float:
    """ECE = Σ_b (W_b/W) · |acc_b − conf_b| = Σ_b |Σ_{i in b} w_i (correct_i − confidence_i)|/W."""
    gaps = np.bincount(bin_of, weights=weights * (correct - confidence))
    return float(np.abs(gaps).sum() / weights.sum())
