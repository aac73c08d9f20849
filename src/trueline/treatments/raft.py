"""RAFT: draw answers, keep the best of each prompt, fine-tune on it (Dong et al. 2023, arXiv 2304.06767).

Example: rewards (0.2, 0.9, 0.9, 0.1) → the second answer is learnt.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class RAFT(OnPolicyTreatment):
    """``samples`` is the strength: the best of more answers is further away; ``kl_budget`` ends it early."""

    name: ClassVar[str] = "raft"

    def method(self) -> "Method":
        """The best answer, with advantage 1."""
        from trueline.training.advantages.raft import BestAnswer

        return BestAnswer()

    def objective(self) -> "Objective":
        """The mean over tokens, whose gradient is that of supervised fine-tuning."""
        from trueline.training.objectives.token_policy import TokenPolicyObjective

        return TokenPolicyObjective(name=self.name, loss_norm="token")
