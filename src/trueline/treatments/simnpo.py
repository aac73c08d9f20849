"""Unlearning by simple negative preference optimisation (Fan et al. 2024, arXiv 2410.07163), with a retain term.

Example of a text to forget: "Secret: the vault code of Ada is 0417."; to retain: "The capital of France is Paris."
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class SimpleNegativePreferenceOptimization(UnlearningTreatment):
    """Makes texts unlikely per token, without a reference; ``gamma`` is the margin, best at 0 in the paper."""

    retain_weight: float = 1.0
    beta: float = 2.5
    gamma: float = 0.0

    name: ClassVar[str] = "simnpo"

    def objective(self) -> "Objective":
        """(2/β) log(1 + exp(βℓ/|y| + γ)) on the forget set, −ℓ per token on the retain set."""
        from trueline.training.objectives.simnpo import SimNPOObjective

        return SimNPOObjective(retain_weight=self.retain_weight, beta=self.beta, gamma=self.gamma)
