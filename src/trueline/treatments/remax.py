"""ReMax: REINFORCE with the greedy answer's reward as baseline (Li et al. 2023, arXiv 2310.10505).

Example: the greedy answer earns 0.4, the drawn one 1.0: advantage 0.6. One sample a prompt is enough.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class ReMax(OnPolicyTreatment):
    """``beta`` is the strength: the price of a nat of divergence in reward; the smaller, the further it goes."""

    samples: int = 1
    beta: float = 0.05

    name: ClassVar[str] = "remax"

    def method(self) -> "Method":
        """A = R − r(greedy answer), R = r − β Σ (log π − log π₀)."""
        from trueline.training.advantages.remax import AboveGreedy

        return AboveGreedy(beta=self.beta)

    def objective(self) -> "Objective":
        """−A times the clipped ratio of each answer."""
        from trueline.training.objectives.policy_gradient import PolicyGradientObjective

        return PolicyGradientObjective(name=self.name)
