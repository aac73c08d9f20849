"""The clipped policy gradient over whole answers, as RLOO and ReMax take it.

    loss = −1/(N·K) Σ min(ρ A, clip(ρ, 1 − ε, 1 + ε) A),   ρ = π(y|x) / π_old(y|x)

(Schulman et al. 2017, arXiv 1707.06347, equation 7, with an answer as one action: Ahmadian et al. 2024, arXiv
2402.14740). At ρ = 1 its gradient is that of REINFORCE, −A ∇ log π(y|x).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.groups import ADVANTAGES, OLD
from trueline.training.readings import ENTROPY, LOGPS, Reading

from .base import Loss, Scorer, Totals, counts


def clipped_surrogate(log_ratios: Tensor, advantages: Tensor, *, low: float, high: float) -> Tensor:
    """min(ρ A, clip(ρ, 1 − low, 1 + high) A), elementwise; ρ = exp(``log_ratios``)."""
    ratios = log_ratios.exp()
    return torch.minimum(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)


def clipped_share(log_ratios: Tensor, advantages: Tensor, *, low: float, high: float) -> Tensor:
    """1 where the clip cuts the gradient off, else 0."""
    ratios = log_ratios.exp()
    return (((ratios < 1 - low) & (advantages < 0)) | ((ratios > 1 + high) & (advantages > 0))).to(ratios)


def policy_counts(examples: Sequence[Example]) -> dict[str, float]:
    """Examples, answers and answer tokens of a step."""
    return {**counts(examples), "answers": float(sum(len(e.tree.branches) for e in examples))}


def policy_metrics(scored: Scored, totals: Totals) -> dict[str, Tensor]:
    """Per token: entropy, and |log π − log π_old|: how far sampler and trainer are apart in a rollout's first
    update, and how far the policy has moved in later ones."""
    moved = (scored.flat().detach() - scored.given(OLD)).abs().sum()
    return {"entropy": scored.flat(ENTROPY.name).sum() / totals["tokens"], "moved": moved / totals["tokens"]}


POLICY_METRICS = ("entropy", "moved")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradientObjective:
    """Averaged over the answers of the step; ``epsilon`` is the clip of the ratio (PPO: 0.2)."""

    name: str
    epsilon: float = 0.2

    batch: ClassVar[BatchKind] = "groups"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS, ENTROPY)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = (*POLICY_METRICS, "clipped")

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise InputError(f"epsilon {self.epsilon} is not allowed: give the clip, a number above 0.")

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answers and tokens of the step."""
        return policy_counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over answers."""
        lengths = [len(branch) for example in scored.examples for branch in example.tree.branches]
        moved = torch.split(scored.flat() - scored.given(OLD), lengths)
        log_ratios = torch.stack([tokens.sum() for tokens in moved])
        advantages = scored.branch_facts(ADVANTAGES)
        gains = clipped_surrogate(log_ratios, advantages, low=self.epsilon, high=self.epsilon)
        cut = clipped_share(log_ratios.detach(), advantages, low=self.epsilon, high=self.epsilon)
        return Loss(
            value=-gains.sum() / totals["answers"],
            metrics={**policy_metrics(scored, totals), "clipped": cut.sum() / totals["answers"]},
        )
