"""PPO: the clipped policy gradient over tokens, and a critic on the policy's own body.

    loss = −1/N Σ_t min(ρ_t A_t, clip(ρ_t, 1 − ε, 1 + ε) A_t)  +  c/N Σ_t ½ max((V_t − G_t)², (V̄_t − G_t)²)
    V̄_t = V_old,t + clip(V_t − V_old,t, −ε_V, ε_V)

(Schulman et al. 2017, arXiv 1707.06347, equations 7 and 9; the clipped value loss and c = 0.1: Huang et al. 2024, arXiv
2403.17031.) G_t are the returns, N the tokens of the step. Of the two value errors the larger counts, so a value
that has moved by more than ε_V towards its return gets no further gradient in this rollout. No entropy bonus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.advantages.ppo import RETURNS, VALUES
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.dials import above_zero, at_least_zero
from trueline.training.groups import ADVANTAGES, OLD
from trueline.training.readings import ENTROPY, LOGPS, TOKEN_VALUES, Reading

from .base import Loss, Scorer, Totals
from .policy_gradient import POLICY_METRICS, clipped_share, clipped_surrogate, policy_counts, policy_metrics


def clipped_value_loss(values: Tensor, returns: Tensor, old: Tensor, epsilon: float) -> Tensor:
    """½ max((V − G)², (V̄ − G)²), elementwise."""
    held = old + (values - old).clamp(-epsilon, epsilon)
    return 0.5 * torch.maximum((values - returns).square(), (held - returns).square())


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOObjective:
    """``epsilon`` clips the ratio, ``value_epsilon`` a value's move (in units of reward), ``value_weight`` is c."""

    name: str = "ppo"
    epsilon: float = 0.2
    value_epsilon: float = 0.2
    value_weight: float = 0.1

    batch: ClassVar[BatchKind] = "groups"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS, ENTROPY, TOKEN_VALUES)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = (*POLICY_METRICS, "clipped", "value_loss", "value")

    def __post_init__(self) -> None:
        above_zero(self.name, epsilon=self.epsilon, value_epsilon=self.value_epsilon)
        at_least_zero(self.name, value_weight=self.value_weight)

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answers and tokens of the step."""
        return policy_counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of both token means; the metric ``value`` is the critic's mean."""
        advantages, values = scored.given(ADVANTAGES), scored.flat(TOKEN_VALUES.name)
        log_ratios = scored.flat() - scored.given(OLD)
        gains = clipped_surrogate(log_ratios, advantages, low=self.epsilon, high=self.epsilon)
        errors = clipped_value_loss(values, scored.given(RETURNS), scored.given(VALUES), self.value_epsilon)
        policy, critic = -gains.sum() / totals["tokens"], errors.sum() / totals["tokens"]
        cut = clipped_share(log_ratios.detach(), advantages, low=self.epsilon, high=self.epsilon)
        return Loss(
            value=policy + self.value_weight * critic,
            metrics={
                **policy_metrics(scored, totals),
                "clipped": cut.sum() / totals["tokens"],
                "value_loss": critic.detach(),
                "value": values.detach().sum() / totals["tokens"],
            },
        )
