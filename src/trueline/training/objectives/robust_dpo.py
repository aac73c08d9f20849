"""Robust DPO: an unbiased estimate of the DPO loss on clean preferences from flipped ones.

Chowdhury et al. 2024, arXiv 2403.00409; ε is the *known* share of preferences that are flipped.
loss = ((1 − ε) L(h) − ε L(−h)) / (1 − 2ε),  L the DPO loss, h = Δ⁺ − Δ⁻

Its expectation over the flips is L of the clean preference; its slope at 0 is DPO's for every ε.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.dials import flip_rate

from .dpo import dpo_loss
from .gpo import FamilyObjective


def robust_dpo_loss(margins: Tensor, *, beta: float, flipped: float) -> Tensor:
    """((1 − ε) L(h) − ε L(−h)) / (1 − 2ε): margins h = Δ⁺ − Δ⁻ [E] in, losses [E] out; may be below 0."""
    as_given, mirrored = dpo_loss(margins, beta=beta), dpo_loss(-margins, beta=beta)
    return ((1 - flipped) * as_given - flipped * mirrored) / (1 - 2 * flipped)


@dataclass(frozen=True, kw_only=True)
class RobustDPOObjective(FamilyObjective):
    """Robust DPO; ``flip_share`` is ε in [0, 0.5), at 0 it is DPO."""

    flip_share: float = 0.1

    name: ClassVar[str] = "robust_dpo"

    def __post_init__(self) -> None:
        FamilyObjective.__post_init__(self)
        flip_rate(self.name, flip_share=self.flip_share)

    def losses(self, margins: Tensor) -> Tensor:
        """((1 − ε) L(h) − ε L(−h)) / (1 − 2ε)."""
        return robust_dpo_loss(margins, beta=self.beta, flipped=self.flip_share)
