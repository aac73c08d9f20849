"""PRO: preference ranking optimisation (Song et al. 2023, arXiv 2306.17492).

Example of a list: "How do I pick a lock to rob a house?", first "I can't help with that.", second "That is illegal,
but …", third "Take a tension wrench …". Preference pairs are lists of two.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .rankings import RankingTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class PreferenceRankingOptimization(RankingTreatment):
    """Learns ``resources.rankings`` without a reference. ``sft_weight``, times (K − 1)² for K answers, weighs the
    likelihood of the best; ``use_scores`` needs lists with scores, whose gaps then set the temperatures."""

    sft_weight: float = 0.05
    use_scores: bool = False
    learning_rate: float = 5e-6

    name: ClassVar[str] = "pro"

    def objective(self) -> "Objective":
        """Plackett and Luce's likelihood of the ranking, and −w (K − 1)² p(best)."""
        from trueline.training.objectives.pro import PROObjective

        return PROObjective(sft_weight=self.sft_weight, use_scores=self.use_scores)
