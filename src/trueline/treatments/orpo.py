"""Odds-ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class OddsRatioPreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences`` without a reference; ``weight`` is that of the odds term."""

    weight: float = 0.1
    learning_rate: float = 8e-6

    name: ClassVar[str] = "orpo"

    def objective(self) -> "Objective":
        """−a⁺ − λ log σ(log odds⁺ − log odds⁻)."""
        from trueline.training.objectives.orpo import ORPOObjective

        return ORPOObjective(weight=self.weight)
