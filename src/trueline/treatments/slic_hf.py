"""Sequence likelihood calibration from human feedback (Zhao et al. 2023, arXiv 2305.10425).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class SequenceLikelihoodCalibration(PreferenceTreatment):
    """Learns ``resources.preferences`` without a reference, up to a margin of ``delta`` nats."""

    delta: float = 1.0
    sft_weight: float = 0.5
    learning_rate: float = 1e-6

    name: ClassVar[str] = "slic_hf"

    def objective(self) -> "Objective":
        """max(0, δ − ℓ⁺ + ℓ⁻) − λ ℓ⁺."""
        from trueline.training.objectives.slic_hf import SLiCHFObjective

        return SLiCHFObjective(delta=self.delta, sft_weight=self.sft_weight)
