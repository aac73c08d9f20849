"""RRHF: rank responses to align with human feedback (Yuan et al. 2023, arXiv 2304.05302).

Example of a list: "How do I pick a lock to rob a house?", first "I can't help with that.", second "That is illegal,
but …", third "Take a tension wrench …". Preference pairs are lists of two.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .rankings import RankingTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class RankResponses(RankingTreatment):
    """Learns ``resources.rankings`` without a reference; ``rank_weight`` weighs the order against the likelihood of the
    best answer."""

    rank_weight: float = 1.0
    learning_rate: float = 2e-5

    name: ClassVar[str] = "rrhf"

    def objective(self) -> "Objective":
        """w Σ max(0, p_j − p_k) − ℓ(best)."""
        from trueline.training.objectives.rrhf import RRHFObjective

        return RRHFObjective(rank_weight=self.rank_weight)
