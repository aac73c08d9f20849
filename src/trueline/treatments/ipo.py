"""Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .preferences import PreferenceTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective
    from trueline.training.objectives.pairs import Reduction


@dataclass(frozen=True, kw_only=True)
class IdentityPreferenceOptimization(PreferenceTreatment):
    """Learns ``resources.preferences`` up to a margin of 1/(2 ``tau``); ``reduction`` is "mean" per token or "sum"."""

    tau: float = 0.1
    reduction: "Reduction" = "mean"
    learning_rate: float = 1e-6

    name: ClassVar[str] = "ipo"

    def objective(self) -> "Objective":
        """(h − 1/(2τ))², h = Δ⁺ − Δ⁻."""
        from trueline.training.objectives.ipo import IPOObjective

        return IPOObjective(tau=self.tau, reduction=self.reduction)
