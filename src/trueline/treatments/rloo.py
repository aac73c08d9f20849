"""RLOO: REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv 2402.14740).

Each answer's reward, less β times its divergence from the target, is compared with the mean of the other answers to
the same prompt. Example: rewards (1, 2, 6) give advantages (−3, −1.5, 4.5).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class RLOO(OnPolicyTreatment):
    """``beta`` is the strength: the price of a nat of divergence in reward; the smaller, the further it goes.

    The paper's learning rate is 1e-6 for models of billions of parameters; small models need larger ones.
    """

    beta: float = 0.05

    name: ClassVar[str] = "rloo"

    def method(self) -> "Method":
        """A = R − mean of the others, R = r − β Σ (log π − log π₀)."""
        from trueline.training.advantages.rloo import LeaveOneOut

        return LeaveOneOut(beta=self.beta)

    def objective(self) -> "Objective":
        """−A times the clipped ratio of each answer."""
        from trueline.training.objectives.policy_gradient import PolicyGradientObjective

        return PolicyGradientObjective(name=self.name)
