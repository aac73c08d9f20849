"""Robust DPO: preferences of which a known share is flipped (Chowdhury et al. 2024, arXiv 2403.00409).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class RobustDPO(PreferenceTreatment):
    """Learns ``resources.preferences``; ``flip_share`` is the share of them that is wrong."""

    beta: float = 0.1
    flip_share: float = 0.1
    learning_rate: float = 1e-6

    name: ClassVar[str] = "robust_dpo"

    def objective(self) -> "Objective":
        """((1 − ε) L(h) − ε L(−h)) / (1 − 2ε), L the DPO loss."""
        from trueline.training.objectives.robust_dpo import RobustDPOObjective

        return RobustDPOObjective(beta=self.beta, flip_share=self.flip_share)
