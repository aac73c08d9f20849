"""A reward model from preferences: Bradley–Terry with a margin.

Ouyang et al. 2022, arXiv 2203.02155, equation 1; the margin: Touvron et al. 2023, arXiv 2307.09288, eq. 2.
loss = −log σ(r(y⁺) − r(y⁻) − m). An example may carry its margin m as the fact ``margin``; otherwise it is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import REWARD, Reading

from .base import Loss, Scorer, Totals, counts


def bradley_terry_loss(chosen_rewards: Tensor, rejected_rewards: Tensor, margins: Tensor) -> Tensor:
    """−log σ(r⁺ − r⁻ − m) for each pair: rewards and margins [E] in, losses [E] out."""
    return softplus(-(chosen_rewards - rejected_rewards - margins))


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardObjective:
    """Bradley–Terry, averaged over the pairs of the step."""

    name: ClassVar[str] = "reward"
    batch: ClassVar[BatchKind] = "pairs"
    reads: ClassVar[tuple[Reading, ...]] = (REWARD,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("margin", "accuracy", "mean_reward")

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Pairs of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over pairs, with how often the chosen answer wins."""
        rewards, pairs = scored.sums(), totals["examples"]
        losses = bradley_terry_loss(rewards[:, 0], rewards[:, 1], scored.fact("margin", 0.0)[:, 0])
        margins = (rewards[:, 0] - rewards[:, 1]).detach()
        return Loss(
            value=losses.sum() / pairs,
            metrics={
                "margin": margins.sum() / pairs,
                "accuracy": (margins > 0).to(margins).sum() / pairs,
                "mean_reward": rewards.detach().mean(dim=1).sum() / pairs,
            },
        )
