"""Direct preference optimisation on safety preferences (Rafailov et al. 2023, arXiv 2305.18290).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class DirectPreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences``; ``beta`` is the strength: the smaller, the further from the target.

    The paper's learning rate is 1e-6 for models of billions of parameters; small models need larger ones.
    """

    beta: float = 0.1
    learning_rate: float = 1e-6

    name: ClassVar[str] = "dpo"

    def objective(self) -> "Objective":
        """−log σ(β(Δ⁺ − Δ⁻))."""
        from trueline.training.objectives.dpo import DPOObjective

        return DPOObjective(beta=self.beta)
