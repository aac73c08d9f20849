"""Cross-validated logistic regression on sparse features, for what an annotator without taste would reach.

min Σ_i log(1 + e^{−s_i z_i}) + ½λ‖β‖², s = ±1, z = Xβ + b. For pairs the features are differences, chosen
minus rejected, every s is +1 and there is no bias, so that swapping a pair's answers negates its z.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from .tokens import Ints, Tokens

Floats = NDArray[np.float64]
FOLDS = 5
PENALTY = 1.0
_RARE = 5  # texts with a word, below which it is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Features [N, F], signs ±1 [N], and the group of each row: rows of one prompt stay in one fold."""

    features: sparse.csr_matrix
    signs: Floats
    groups: Ints
    bias: bool

    def cross_validated(self, seed: int = 0) -> Floats:
        """Logits z [N] of each row by the model that was fitted without its fold."""
        draws = np.random.default_rng(seed)
        fold_of = draws.permutation(int(self.groups.max()) + 1) % FOLDS
        fold = fold_of[self.groups]
        out = np.zeros(len(self.signs))
        for k in range(FOLDS):
            held = fold == k
            if held.any() and not held.all():
                beta, bias = fit(self.features[~held], self.signs[~held], bias=self.bias)
                out[held] = self.features[held] @ beta + bias
        return out


def fit(features: sparse.csr_matrix, signs: Floats, *, bias: bool) -> tuple[Floats, float]:
    """(β, b) of the least penalised loss; b = 0 without ``bias``."""
    transposed = features.T.tocsr()

    def loss(point: Floats) -> tuple[float, Floats]:
        beta, offset = point[:-1], point[-1] if bias else 0.0
        margin = (features @ beta + offset) * signs
        slope = -signs * expit(-margin)
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * PENALTY * (beta @ beta)
        return float(value), np.append(transposed @ slope + PENALTY * beta, slope.sum() if bias else 0.0)

    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": 1e-7})
    return found.x[:-1], float(found.x[-1]) if bias else 0.0


def platt(logits: Floats, signs: Floats, *, bias: bool) -> Floats:
    """Calibrated logits a·z + c (Platt 1999) by maximum likelihood; c = 0 without ``bias``."""
    column = sparse.csr_matrix(logits[:, None] / max(float(np.abs(logits).max()), 1e-12))
    beta, offset = fit(column, signs, bias=bias)
    return np.asarray(column @ beta + offset)


def word_features(tokens: Tokens) -> sparse.csr_matrix:
    """[N, words]: each distinct word of a text as 1/√(its distinct words); rare words left out."""
    hashes = tokens.owners, tokens.words
    shape = (len(tokens), int(tokens.words.max(initial=0)) + 1)
    counts = sparse.csr_matrix((np.ones(len(tokens.words), dtype=np.float64), hashes), shape=shape)
    counts.data[:] = 1.0
    kept = counts[:, np.flatnonzero(np.bincount(counts.indices, minlength=shape[1]) >= _RARE)]
    distinct = np.maximum(np.diff(kept.indptr), 1)
    return sparse.diags_array(1 / np.sqrt(distinct)) @ kept


def standardised(columns: Floats) -> Floats:
    """Columns divided by their standard deviation (not centred, so that differences keep their sign)."""
    spread = columns.std(axis=0)
    return columns / np.where(spread > 0, spread, 1.0)
