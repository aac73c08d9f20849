"""What objectives over preference pairs share: the mean over the pairs of a step, and four metrics.

Legend: E pairs; column 0 is the chosen answer, column 1 the rejected one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import LOGPS, Reading

from .base import Loss, Scorer, Totals, counts

Reduction = Literal["sum", "mean"]
REDUCTIONS: tuple[str, ...] = ("sum", "mean")


@dataclass(frozen=True, kw_only=True)
class PairObjective:
    """A loss for each pair, averaged; a method gives ``judge`` (and its name, reference and dials)."""

    name: ClassVar[str]
    batch: ClassVar[BatchKind] = "pairs"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("chosen_reward", "rejected_reward", "margin", "accuracy")

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """Losses [E], and the rewards [E, 2] that the method reads from the policy."""
        raise NotImplementedError

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Pairs of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over pairs."""
        losses, rewards = self.judge(scored, totals)
        rewards, pairs = rewards.detach(), totals["examples"]
        margins = rewards[:, 0] - rewards[:, 1]
        return Loss(
            value=losses.sum() / pairs,
            metrics={
                "chosen_reward": rewards[:, 0].sum() / pairs,
                "rejected_reward": rewards[:, 1].sum() / pairs,
                "margin": margins.sum() / pairs,
                "accuracy": (margins > 0).to(margins).sum() / pairs,
            },
        )


def log_ratios(scored: Scored, reduction: Reduction = "sum") -> Tensor:
    """Δ(y) = log π(y|x) − log π₀(y|x) of each answer [E, 2]: summed over its tokens, or their mean."""
    ratios = scored.sums() - scored.reference_sums()
    return ratios / scored.lengths() if reduction == "mean" else ratios
