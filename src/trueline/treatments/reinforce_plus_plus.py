"""REINFORCE++: returns of each token, normalised over the whole rollout (Hu 2025, arXiv 2501.03262).

Example: an answer of reward 1 whose tokens diverge by (0.5, 0.1) nats has, at β = 0.01, the returns (0.994, 0.999)
before they are normalised. No critic, no group.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class ReinforcePlusPlus(OnPolicyTreatment):
    """``beta`` is the strength: the price of a nat of divergence in reward; the smaller, the further it goes."""

    samples: int = 1
    beta: float = 0.01

    name: ClassVar[str] = "reinforce_plus_plus"

    def method(self) -> "Method":
        """A_t = r − β Σ_{i≥t} (log π − log π₀)_i, normalised over the rollout."""
        from trueline.training.advantages.reinforce_plus_plus import NormalisedReturns

        return NormalisedReturns(beta=self.beta)

    def objective(self) -> "Objective":
        """−A times the clipped ratio of each token, averaged over tokens."""
        from trueline.training.objectives.token_policy import TokenPolicyObjective

        return TokenPolicyObjective(name=self.name, loss_norm="token")
