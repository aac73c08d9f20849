"""Arithmetic on the weights of models of one architecture: pure functions over state dicts.

Shapes: a matrix W is [out, in]; ‖·‖ is the Frobenius norm.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.core.errors import InputError

Weights = Mapping[str, Tensor]


def difference(after: Weights, before: Weights) -> dict[str, Tensor]:
    """after − before, weight by weight: a task vector (Ilharco et al. 2022, arXiv 2212.04089)."""
    check_alike(after, before)
    return {name: after[name] - before[name] for name in after}


def add_scaled(weights: Weights, vector: Weights, scale: float) -> dict[str, Tensor]:
    """weights + scale · vector."""
    check_alike(weights, vector)
    return {name: weights[name] + scale * vector[name] for name in weights}


def drop_and_rescale(vector: Weights, drop: float, seed: int) -> dict[str, Tensor]:
    """Each number is dropped with probability p = ``drop`` and kept as x / (1 − p) otherwise, so that its
    expectation stays (DARE: Yu et al. 2023, arXiv 2311.03099)."""
    if not 0 <= drop < 1:
        raise InputError(f"a drop share of {drop} is not allowed: give a number in [0, 1).")
    if drop == 0:
        return dict(vector)
    kept = {}
    generator = torch.Generator().manual_seed(seed)
    for name in sorted(vector):
        mask = torch.rand(vector[name].shape, generator=generator) >= drop
        kept[name] = vector[name] * mask.to(vector[name]) / (1 - drop)
    return kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projected:
    """An update after a projection; ``cosine`` between both, ``taken`` whether it replaced the update."""

    update: Tensor
    cosine: float
    taken: bool


def project_to_alignment(update: Tensor, alignment: Tensor, threshold: float) -> Projected:
    """Safe LoRA's projection of one matrix (Hsu et al. 2024, arXiv 2405.16833, equations 1 to 3).

    With V = ``alignment`` = W_aligned − W_unaligned and Ĉ = V Vᵀ / ‖V‖, the update ΔW becomes Ĉ ΔW where
    cos(ΔW, Ĉ ΔW) < ``threshold``. The exact projector V(VᵀV)⁻¹Vᵀ is the identity wherever V has full row
    rank, as differences of trained models have, and so would change nothing.
    """
    norm = torch.linalg.norm(alignment)
    if norm == 0 or not update.any():
        return Projected(update=update, cosine=1.0, taken=False)
    projected = alignment @ (alignment.mT @ update) / norm
    cosine = float(torch.nn.functional.cosine_similarity(update.flatten(), projected.flatten(), dim=0))
    taken = cosine < threshold
    return Projected(update=projected if taken else update, cosine=cosine, taken=taken)


def check_alike(first: Weights, second: Weights) -> None:
    """InputError unless both have the same names and shapes."""
    odd = sorted(first.keys() ^ second.keys())
    odd += [name for name in first if name in second and first[name].shape != second[name].shape]
    if odd:
        raise InputError(
            f"the models differ in architecture ({odd[0]!r} and {len(odd) - 1} more weights do not match): "
            "arithmetic on weights needs models of one family and size."
        )
