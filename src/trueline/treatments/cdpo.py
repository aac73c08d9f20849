"""Conservative DPO: preferences of which some are flipped (Mitchell 2023; Chowdhury et al. 2024, 2403.00409).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class ConservativeDPO(PreferenceTreatment):
    """Learns ``resources.preferences``; ``label_smoothing`` is the share that is believed to be flipped."""

    beta: float = 0.1
    label_smoothing: float = 0.1
    learning_rate: float = 1e-6

    name: ClassVar[str] = "cdpo"

    def objective(self) -> "Objective":
        """(1 − ε) L(h) + ε L(−h), L the DPO loss."""
        from trueline.training.objectives.cdpo import CDPOObjective

        return CDPOObjective(beta=self.beta, label_smoothing=self.label_smoothing)
