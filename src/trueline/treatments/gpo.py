"""Generalised preference optimisation: any member of the offline family (Tang et al. 2024, arXiv 2402.05749).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective
    from trueline.training.objectives.gpo import ConvexName
    from trueline.training.objectives.pairs import Reduction


@dataclass(frozen=True, kw_only=True)
class GeneralizedPreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences``; ``function`` is logistic (DPO), squared (IPO), hinge (RSO), exponential or
    truncated_quadratic."""

    beta: float = 0.1
    function: "ConvexName" = "logistic"
    reduction: "Reduction" = "sum"
    learning_rate: float = 1e-6

    name: ClassVar[str] = "gpo"

    def objective(self) -> "Objective":
        """f(β(Δ⁺ − Δ⁻))."""
        from trueline.training.objectives.gpo import GPOObjective

        return GPOObjective(beta=self.beta, function=self.function, reduction=self.reduction)
