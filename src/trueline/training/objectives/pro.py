"""PRO: preference ranking optimisation (Song et al. 2023, arXiv 2306.17492).

Plackett and Luce's likelihood of a ranking, in which each answer in turn must win against all that are worse:

    loss = −Σ_k log( e^{p_k / T_kk} / (e^{p_k / T_kk} + Σ_{j worse than k} e^{p_j / T_kj}) ) − w (K − 1)² ℓ(best)

p = ℓ/|y| is the mean log-probability, ℓ the sum, which the authors' code takes for the best answer. All T are 1; or,
where the answers' scores s are known and asked for, T_kj = 1/(s_k − s_j) and T_kk the least of them, so that answers
of nearly equal worth are hardly told apart. Answers that tie never compete; without ties this is the paper's sum over
k < K.
Example: p = (−1, −2, −3), T = 1, w = 0.05, |y(best)| = 3: 0.407606 + 0.313262 + 0.05 · 4 · 3 = 1.320868.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.dials import at_least_zero

from .ranked import RankedList, RankedObjective, worse


def pro_loss(
    logps: Tensor, lengths: Tensor, ranks: Tensor, scores: Tensor | None, *, sft_weight: float
) -> Tensor:
    """The loss of one list, the best first: ℓ, |y|, ranks and (or None) scores [K] in, a scalar out."""
    means = logps / lengths
    below = worse(ranks)
    sharpness = below.to(means)  # 1/T_kj
    if scores is not None:
        sharpness = sharpness * (scores[:, None] - scores[None, :])
    own = sharpness.max(dim=1).values  # 1/T_kk
    rivals = (means[None, :] * sharpness).masked_fill(~below, -torch.inf)
    wins = below.any(dim=1)
    each = torch.cat([(means * own)[:, None], rivals], dim=1)[wins]
    ranked = (torch.logsumexp(each, dim=1) - each[:, 0]).sum()
    return ranked - sft_weight * (len(means) - 1) ** 2 * logps[0]


@dataclass(frozen=True, kw_only=True)
class PROObjective(RankedObjective):
    """PRO; ``sft_weight`` w weighs the likelihood of the best answer, ``use_scores`` sets T by the answers' scores."""

    sft_weight: float = 0.05
    use_scores: bool = False

    name: ClassVar[str] = "pro"

    def __post_init__(self) -> None:
        at_least_zero(self.name, sft_weight=self.sft_weight)

    def facts(self) -> tuple[str, ...]:
        """Scores, where they set T."""
        return ("scores",) if self.use_scores else ()

    def judge(self, answers: RankedList) -> Tensor:
        """The loss of one list."""
        return pro_loss(
            answers.logps, answers.lengths, answers.ranks, answers.scores, sft_weight=self.sft_weight
        )
