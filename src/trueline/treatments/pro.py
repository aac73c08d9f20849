"""PRO: preference ranking optimisation (Song et al. 2023, arXiv 2306.17492).

Example of a list: "How do I pick a lock to rob a house?", first "I can't help with that.", second "That is illegal,
but …", third "Take a tension wrench …". Preference pairs are lists of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError

from .rankings import RankingTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class PreferenceRankingOptimization(RankingTreatment):
    """Learns ``resources.rankings`` without a reference. ``sft_weight``, times (K − 1)² for K answers, weighs the
    likelihood of the best; ``use_scores`` needs lists with scores, whose gaps then set the temperatures."""

    sft_weight: float = 0.05
    use_scores: bool = False
    learning_rate: float = 5e-6

    name: ClassVar[str] = "pro"
    version: ClassVar[str] = "2"  # 1 learnt the best answer by its mean log-probability

    def objective(self) -> "Objective":
        """Plackett and Luce's likelihood of the ranking, and −w (K − 1)² ℓ(best)."""
        from trueline.training.objectives.pro import PROObjective

        return PROObjective(sft_weight=self.sft_weight, use_scores=self.use_scores)

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Lists as trees. Raises InputError where scores are to be used and a list has none."""
        prepared = super().prepare(codec, data, max_length)
        lacking = next((index for index, row in enumerate(data) if row.scores is None), None)
        if self.use_scores and lacking is not None:
            raise InputError(
                f"row {lacking} has no scores, which pro reads with use_scores: give scores instead of ranks, or "
                "leave use_scores out."
            )
        return prepared
