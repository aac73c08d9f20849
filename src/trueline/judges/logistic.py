"""Logistic regression over hashed n-grams: fitted by L-BFGS, then calibrated by Platt's sigmoid (1999).

Shapes: N texts, 2**bits features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from .linear import CHUNK, GROUPS, Floats, LinearModel, features


def design(texts: Sequence[str], bits: int) -> sparse.csr_matrix:
    """[N, 2**bits]: 1/√(features in the bag) for each feature, as the scorer weighs them."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        made = features(texts[start : start + CHUNK], bits)
        cell = made.texts * GROUPS + made.groups
        counts = np.bincount(cell, minlength=made.size * GROUPS)
        values = 1 / np.sqrt(counts[cell])
        parts.append(sparse.csr_matrix((values, (made.texts, made.buckets)), shape=(made.size, 2**bits)))
    return sparse.vstack(parts).tocsr()


def minimise(
    rows: sparse.csr_matrix, labels: NDArray[np.bool_], weights: Floats, penalty: float
) -> LinearModel:
    """min Σ w log(1 + e^{−s z}) + ½λ‖β‖², s = ±1, z = Xβ + b; the bias is free of the penalty λ."""
    sign = np.where(labels, 1.0, -1.0)
    transposed = rows.T.tocsr()

    def loss(point: Floats) -> tuple[float, Floats]:
        beta, margin = point[:-1], (rows @ point[:-1] + point[-1]) * sign
        slope = -weights * sign * expit(-margin)
        value = weights @ np.logaddexp(0.0, -margin) + 0.5 * penalty * (beta @ beta)
        return float(value), np.concatenate([transposed @ slope + penalty * beta, [slope.sum()]])

    start = np.zeros(rows.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10})
    return LinearModel(weights=found.x[:-1].astype(np.float32), bias=float(found.x[-1]))


def platt(logits: Floats, labels: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """(a, c) of σ(a·z + c) by weighted maximum likelihood."""
    sign = np.where(labels, 1.0, -1.0)

    def loss(point: Floats) -> tuple[float, Floats]:
        margin = (point[0] * logits + point[1]) * sign
        slope = -weights * sign * expit(-margin)
        return float(weights @ np.logaddexp(0.0, -margin)), np.array([slope @ logits, slope.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    return float(found.x[0]), float(found.x[1])
