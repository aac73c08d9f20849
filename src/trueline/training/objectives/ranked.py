"""What objectives over ranked lists share: the mean over the lists of a step, and three metrics.

Legend: K answers of one list, from the best to the worst; equal ranks tie. Lists of a step may differ in K.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import LOGPS, Reading

from .base import Loss, Scorer, Totals, counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedList:
    """One list as the policy sees it: ``logps`` ℓ, ``lengths`` |y|, ``ranks`` (1 is the best) and, where the
    method reads them, ``scores``; each [K]."""

    logps: Tensor
    lengths: Tensor
    ranks: Tensor
    scores: Tensor | None = None

    @property
    def means(self) -> Tensor:
        """ℓ/|y| [K]."""
        return self.logps / self.lengths


@dataclass(frozen=True, kw_only=True)
class RankedObjective:
    """A loss for each list, averaged; a method gives ``judge`` (and its name and dials)."""

    name: ClassVar[str]
    batch: ClassVar[BatchKind] = "ranked"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("best_reward", "margin", "accuracy")

    def judge(self, answers: RankedList) -> Tensor:
        """The loss of one list, a scalar."""
        raise NotImplementedError

    def facts(self) -> tuple[str, ...]:
        """What the method reads of a list besides its ranks."""
        return ()

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Lists of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over lists. Rewards are ℓ/|y|; the margin is that of the first answer over
        the last; accuracy is the share of a list's ordered pairs that the policy orders so."""
        lists = self._lists(scored)
        losses = torch.stack([self.judge(answers) for answers in lists])
        rewards = [answers.means.detach() for answers in lists]
        right = [_in_order(mean, answers.ranks) for mean, answers in zip(rewards, lists)]
        size = totals["examples"]
        return Loss(
            value=losses.sum() / size,
            metrics={
                "best_reward": torch.stack([mean[0] for mean in rewards]).sum() / size,
                "margin": torch.stack([mean[0] - mean[-1] for mean in rewards]).sum() / size,
                "accuracy": torch.stack(right).sum() / size,
            },
        )

    def _lists(self, scored: Scored) -> list[RankedList]:
        sizes = [len(example.tree.branches) for example in scored.examples]
        ranks = torch.split(scored.branch_facts("ranks"), sizes)
        scores = torch.split(scored.branch_facts("scores"), sizes) if "scores" in self.facts() else None
        return [
            RankedList(
                logps=torch.stack([branch.sum() for branch in branches]),
                lengths=ranks[e].new_tensor([len(branch) for branch in branches]),
                ranks=ranks[e],
                scores=None if scores is None else scores[e],
            )
            for e, branches in enumerate(scored.of())
        ]


def worse(ranks: Tensor) -> Tensor:
    """[K, K]: whether answer j is ranked below answer k."""
    return ranks[None, :] > ranks[:, None]


def _in_order(rewards: Tensor, ranks: Tensor) -> Tensor:
    below = worse(ranks)
    return ((rewards[:, None] > rewards[None, :]) & below).sum().to(rewards) / below.sum()
