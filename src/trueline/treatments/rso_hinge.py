"""The hinge-norm loss of statistical rejection sampling optimisation (Liu et al. 2023, arXiv 2309.06657).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class HingePreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences`` up to a margin of 1/``beta`` each."""

    beta: float = 0.05
    learning_rate: float = 1e-6

    name: ClassVar[str] = "rso_hinge"

    def objective(self) -> "Objective":
        """max(0, 1 − β(Δ⁺ − Δ⁻))."""
        from trueline.training.objectives.rso_hinge import RSOHingeObjective

        return RSOHingeObjective(beta=self.beta)
