"""Exposure of a secret among its candidates (Carlini et al. 2019, arXiv 1802.08232); pure functions."""

import math

import numpy as np
from numpy.typing import ArrayLike

TAIL = 60.0  # scales below the secret from which the density is integrated; e^(−60²/2) is nothing
STEPS = 2001


def exposure(logprobs: ArrayLike, secret: int) -> float:
    """log2 |R| − log2 rank, in [0, log2 |R|].

    The rank is 1 + the number of other candidates at least as likely: a tie counts as ranked before the
    secret, so that a model that tells no candidate from another exposes nothing (0) rather than everything.
    """
    values = np.asarray(logprobs, dtype=np.float64)
    rank = int((values >= values[secret]).sum())
    return math.log2(len(values)) - math.log2(rank)


def extrapolated_exposure(sample_logprobs: ArrayLike, secret_logprob: float) -> float:
    """−log2 P(a random candidate costs no more than the secret), by a skew-normal fit, in bits.

    ``sample_logprobs`` [m] are those of random candidates without the secret. The tail integral is taken in
    logs, for the cumulative function underflows where exposure is large.
    """
    from scipy import stats  # slow to import, and seldom needed
    from scipy.special import logsumexp

    cost = -np.asarray(sample_logprobs, dtype=np.float64)
    spread = float(cost.std())
    if spread == 0.0:
        return 0.0  # no candidate differs from another: nothing to extrapolate, and nothing exposed
    shape, location, scale = stats.skewnorm.fit((cost - cost.mean()) / spread)
    at = (-secret_logprob - cost.mean()) / spread
    # Steps shrink towards the secret, where a steep tail has all its mass; the trapezoid rule in logs.
    grid = at - TAIL * scale * np.linspace(1.0, 0.0, STEPS) ** 2
    log_density = stats.skewnorm.logpdf(grid, shape, location, scale)
    log_steps = np.log(np.diff(grid) / 2)
    log_mass = logsumexp(np.concatenate([log_density[:-1] + log_steps, log_density[1:] + log_steps]))
    return max(0.0, -float(log_mass) / math.log(2))
