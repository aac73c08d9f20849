"""Simple preference optimisation (Meng et al. 2024, arXiv 2405.14734).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class SimplePreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences`` without a reference; ``gamma`` is the margin, ``beta`` the scale."""

    beta: float = 2.0
    gamma: float = 1.0
    learning_rate: float = 1e-6

    name: ClassVar[str] = "simpo"

    def objective(self) -> "Objective":
        """−log σ(β ℓ⁺/|y⁺| − β ℓ⁻/|y⁻| − γ)."""
        from trueline.training.objectives.simpo import SimPOObjective

        return SimPOObjective(beta=self.beta, gamma=self.gamma)
