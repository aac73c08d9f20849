"""Unlearning by negative preference optimisation (Zhang et al. 2024, arXiv 2404.05868), with a retain term (NPO + RT).

Example of a text to forget: "Secret: the vault code of Ada is 0417."; to retain: "The capital of France is Paris."
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class NegativePreferenceOptimization(UnlearningTreatment):
    """Makes texts unlikely against the target itself, the reference; the larger ``beta``, the sooner it lets go."""

    retain_weight: float = 1.0
    beta: float = 0.1

    name: ClassVar[str] = "npo"

    def objective(self) -> "Objective":
        """(2/β) log(1 + (π/π₀)^β) on the forget set, −ℓ per token on the retain set."""
        from trueline.training.objectives.npo import NPOObjective

        return NPOObjective(retain_weight=self.retain_weight, beta=self.beta)
