"""Readers: what is taken from the logits of the predicting positions.

A reader is a callable (logits [P, V] in fp32 or fp64, targets [P]) -> [P], or a tuple of such tensors. It
sees a chunk of positions at a time and never the whole row, and it is differentiable where the caller wants
gradients.

Shapes: P positions, V vocabulary. Units: nats.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Reader = Callable[[Tensor, Tensor], Any]


class Moments(NamedTuple):
    """Mean and variance of log p(v) under p itself, each [P]."""

    mean: Tensor
    variance: Tensor


def log_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """log p(target): [P], at most 0."""
    return logits.gather(-1, targets[:, None])[:, 0] - torch.logsumexp(logits, dim=-1)


def entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Entropy of the next-token distribution: [P], between 0 and log V."""
    logps = torch.log_softmax(logits, dim=-1)
    return -_expectation(logps.exp(), logps)


def entropy_without_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Entropy as a figure to be watched: [P]. Beside log-probabilities it costs no second look at the logits."""
    return entropy(logits.detach(), targets)


def vocabulary_moments(logits: Tensor, targets: Tensor) -> Moments:
    """Mean and variance of log p(v) over v drawn from p, the normalisers of Min-K%++ (2404.02936, Eq. 3)."""
    logps = torch.log_softmax(logits, dim=-1)
    probabilities = logps.exp()
    mean = _expectation(probabilities, logps)
    variance = (probabilities * torch.where(probabilities > 0, logps - mean[:, None], 0.0).square()).sum(-1)
    return Moments(mean=mean, variance=variance)


def _expectation(probabilities: Tensor, values: Tensor) -> Tensor:
    """Sum of p * x with 0 * -inf = 0: a masked-out token adds nothing."""
    return (probabilities * torch.where(probabilities > 0, values, 0.0)).sum(-1)
