"""What one forward pass says of whether a text was trained on; pure functions, higher is more like a member.

log p_t is the natural log-probability of token t given those before it; μ_t and σ_t² are mean and variance of
log p(v) over v drawn from the model's own next-token distribution at t. T tokens a text.
"""

import math
import zlib
from collections.abc import Sequence

K_PERCENT = 20.0  # the share of tokens that both Min-K papers report


def loss(logprobs: Sequence[float]) -> float:
    """Mean log p_t: the negative loss (Yeom et al. 2017, arXiv 1709.01604)."""
    return sum(logprobs) / len(logprobs)


def zlib_ratio(logprobs: Sequence[float], text: str) -> float:
    """Mean log p_t over the bytes that zlib needs for the text (Carlini et al. 2020, arXiv 2012.07805)."""
    return loss(logprobs) / len(zlib.compress(text.encode()))


def reference_ratio(logprobs: Sequence[float], reference: Sequence[float], text: str) -> float:
    """(Σ log p − Σ log p_reference) a UTF-8 byte: bytes, for the two models may have other tokens."""
    return (sum(logprobs) - sum(reference)) / len(text.encode())


def min_k(values: Sequence[float], k_percent: float = K_PERCENT) -> float:
    """Mean of the lowest k % of the values, of one at least (Min-K % Prob, Shi et al. 2023, arXiv 2310.16789)."""
    count = max(1, int(len(values) * k_percent / 100))
    return sum(sorted(values)[:count]) / count


def min_k_plus(
    logprobs: Sequence[float], moments: Sequence[tuple[float, float]], k_percent: float = K_PERCENT
) -> float:
    """Min-K % of (log p_t − μ_t)/σ_t (Min-K %++, Zhang et al. 2024, arXiv 2404.02936, eq. 3).

    Where the model is certain (σ_t = 0) the token is as expected: 0.
    """
    standardised = [
        (value - mean) / math.sqrt(variance) if variance > 0 else 0.0
        for value, (mean, variance) in zip(logprobs, moments, strict=True)
    ]
    return min_k(standardised, k_percent)
