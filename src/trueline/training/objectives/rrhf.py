"""RRHF: rank responses to align with human feedback (Yuan et al. 2023, arXiv 2304.05302, section 3.1).

loss = w Σ_{j worse than k} max(0, p_j − p_k) − ℓ(best),  p = ℓ/|y| the mean log-probability, ℓ = log π(y|x) summed.
w is 1 in the paper. Its code has w = 100 beside a likelihood that is averaged over all positions of the padded row,
the prompt's too. Of answers that tie for the best, the first is learnt.
Example: p = (−1, −0.5, −2), ranks 1, 2, 3, w = 1, ℓ(best) = −4: 0.5 + 0 + 0 + 4 = 4.5.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.dials import above_zero

from .ranked import RankedList, RankedObjective, worse


def rrhf_loss(logps: Tensor, lengths: Tensor, ranks: Tensor, *, rank_weight: float) -> Tensor:
    """w Σ max(0, p_j − p_k) − ℓ(best) of one list, the best first: ℓ, |y| and ranks [K] in, a scalar out."""
    means = logps / lengths
    violated = (means[None, :] - means[:, None]).clamp(min=0)
    return rank_weight * (violated * worse(ranks)).sum() - logps[0]


@dataclass(frozen=True, kw_only=True)
class RRHFObjective(RankedObjective):
    """RRHF; ``rank_weight`` w weighs the order against the likelihood of the best answer."""

    rank_weight: float = 1.0

    name: ClassVar[str] = "rrhf"

    def __post_init__(self) -> None:
        above_zero(self.name, rank_weight=self.rank_weight)

    def judge(self, answers: RankedList) -> Tensor:
        """The loss of one list."""
        return rrhf_loss(answers.logps, answers.lengths, answers.ranks, rank_weight=self.rank_weight)
