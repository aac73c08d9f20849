"""Sequence likelihood calibration from human feedback (Zhao et al. 2023, arXiv 2305.10425).

loss = max(0, δ − ℓ⁺ + ℓ⁻) − λ ℓ(y_sft),  ℓ = log π(y|x) summed; y_sft is the chosen answer, as pairs give no other.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.batches import Scored
from trueline.training.dials import above_zero, at_least_zero

from .base import Totals
from .pairs import PairObjective


def slic_hf_loss(chosen_logps: Tensor, rejected_logps: Tensor, *, delta: float, sft_weight: float) -> Tensor:
    """max(0, δ − ℓ⁺ + ℓ⁻) − λ ℓ⁺ for each pair: ℓ [E] in, losses [E] out."""
    return (delta - chosen_logps + rejected_logps).clamp(min=0) - sft_weight * chosen_logps


@dataclass(frozen=True, kw_only=True)
class SLiCHFObjective(PairObjective):
    """SLiC-HF; ``delta`` is the margin in nats, ``sft_weight`` is λ; its rewards are ℓ."""

    delta: float = 1.0
    sft_weight: float = 0.5

    name: ClassVar[str] = "slic_hf"

    def __post_init__(self) -> None:
        above_zero(self.name, delta=self.delta)
        at_least_zero(self.name, sft_weight=self.sft_weight)

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and ℓ."""
        logps = scored.sums()
        return slic_hf_loss(logps[:, 0], logps[:, 1], delta=self.delta, sft_weight=self.sft_weight), logps
