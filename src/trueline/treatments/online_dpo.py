"""Online DPO: DPO on pairs of the target's own answers, the best against the worst (Guo et al. 2024, arXiv 2402.04792).

Example: rewards (0.2, 0.9, 0.1) → the second answer is chosen, the third rejected.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class OnlineDPO(OnPolicyTreatment):
    """``beta`` is the strength: the smaller, the further from the target."""

    samples: int = 2
    beta: float = 0.1

    name: ClassVar[str] = "online_dpo"

    def method(self) -> "Method":
        """(best, worst) of each prompt."""
        from trueline.training.advantages.online_dpo import OwnPairs

        return OwnPairs()

    def objective(self) -> "Objective":
        """−log σ(β(Δ⁺ − Δ⁻))."""
        from trueline.training.objectives.online_dpo import OnlineDPOObjective

        return OnlineDPOObjective(beta=self.beta)
