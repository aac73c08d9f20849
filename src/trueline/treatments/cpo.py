"""Contrastive preference optimisation (Xu et al. 2024, arXiv 2401.08417).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective
    from trueline.training.objectives.pairs import Reduction


@dataclass(frozen=True, kw_only=True)
class ContrastivePreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences`` without a reference; ``nll`` is "sum" or "mean" per token."""

    beta: float = 0.1
    nll: "Reduction" = "sum"
    learning_rate: float = 1e-6

    name: ClassVar[str] = "cpo"

    def objective(self) -> "Objective":
        """−log σ(β(ℓ⁺ − ℓ⁻)) − ℓ⁺."""
        from trueline.training.objectives.cpo import CPOObjective

        return CPOObjective(beta=self.beta, nll=self.nll)
