"""The clipped policy gradient over tokens, as GRPO and REINFORCE++ take it.

    loss = −Σ_t w_t [min(ρ_t A_t, clip(ρ_t, 1 − ε, 1 + ε) A_t) − β KL_t],   ρ_t = π(y_t|…) / π_old(y_t|…)

(Schulman et al. 2017, arXiv 1707.06347, eq. 7; Shao et al. 2024, arXiv 2402.03300, eq. 3.) ``loss_norm`` is w_t:
  sequence  1/(answers · |y|): GRPO's; long wrong answers are punished less by the token (2503.20783)
  token     1/(tokens of the step)
  constant  1/(answers · max_tokens): Dr. GRPO's, blind to length
KL_t in the loss is k2 = ½ (log π − log π₀)², whose gradient is that of KL(π ‖ π₀) on the policy's own draws, or GRPO's
k3 = π₀/π − log(π₀/π) − 1, whose gradient is that of another divergence (TRL issue 4967, arXiv 2512.21852).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.groups import ADVANTAGES, OLD
from trueline.training.readings import ENTROPY, LOGPS, Reading

from .base import Loss, Scorer, Totals
from .policy_gradient import POLICY_METRICS, clipped_share, clipped_surrogate, policy_counts, policy_metrics

LossNorm = Literal["sequence", "token", "constant"]
NORMS: tuple[LossNorm, ...] = ("sequence", "token", "constant")
LossKL = Literal["k2", "k3"]


def k2(logps: Tensor, reference: Tensor) -> Tensor:
    """½ (log π − log π₀)², elementwise."""
    return 0.5 * (logps - reference).square()


def k3(logps: Tensor, reference: Tensor) -> Tensor:
    """π₀/π − log(π₀/π) − 1, elementwise; never negative."""
    gap = reference - logps
    return gap.exp() - gap - 1


def token_weights(lengths: Sequence[int], totals: Totals, norm: LossNorm, max_tokens: int) -> Tensor:
    """w_t of all tokens of some answers, one after the other."""
    per_answer = {
        "sequence": [1 / (totals["answers"] * max(1, length)) for length in lengths],
        "token": [1 / totals["tokens"] for _ in lengths],
        "constant": [1 / (totals["answers"] * max_tokens) for _ in lengths],
    }[norm]
    return torch.tensor(per_answer, dtype=torch.float64).repeat_interleave(torch.tensor(lengths))


def token_advantages(scored: Scored) -> Tensor:
    """Advantages by token: as they are given, or each answer's for all its tokens."""
    if all(ADVANTAGES in example.given for example in scored.examples):
        return scored.given(ADVANTAGES)
    lengths = torch.tensor(answer_lengths(scored), device=scored.flat().device)
    return scored.branch_facts(ADVANTAGES).repeat_interleave(lengths)


def answer_lengths(scored: Scored) -> list[int]:
    """Tokens of each answer."""
    return [len(branch) for example in scored.examples for branch in example.tree.branches]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicyObjective:
    """``epsilon`` is the clip; ``beta`` > 0 prices divergence in the loss, by the estimator ``kl``."""

    name: str
    epsilon: float = 0.2
    loss_norm: LossNorm = "sequence"
    beta: float = 0.0
    kl: LossKL = "k2"
    max_tokens: int = 1

    batch: ClassVar[BatchKind] = "groups"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS, ENTROPY)
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = (*POLICY_METRICS, "clipped")

    def __post_init__(self) -> None:
        if self.loss_norm not in NORMS:
            raise InputError(f"loss_norm {self.loss_norm!r} is not known: give {', '.join(NORMS)}.")
        if not self.epsilon > 0 or not self.beta >= 0:
            raise InputError(
                f"epsilon {self.epsilon} with beta {self.beta} is not allowed: give an epsilon above 0 and a beta "
                "of 0 or more."
            )

    @property
    def reference(self) -> bool:
        """Only where divergence is priced in the loss."""
        return self.beta > 0

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answers and tokens of the step."""
        return policy_counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share."""
        logps, advantages = scored.flat(), token_advantages(scored)
        weights = token_weights(answer_lengths(scored), totals, self.loss_norm, self.max_tokens).to(logps)
        log_ratios = logps - scored.given(OLD)
        gains = clipped_surrogate(log_ratios, advantages, low=self.epsilon, high=self.epsilon)
        if self.beta:
            estimate = k2 if self.kl == "k2" else k3
            gains = gains - self.beta * estimate(logps, scored.reference_flat())
        cut = clipped_share(log_ratios.detach(), advantages, low=self.epsilon, high=self.epsilon)
        return Loss(
            value=-(weights * gains).sum(),
            metrics={**policy_metrics(scored, totals), "clipped": cut.sum() / totals["tokens"]},
        )
