"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

loss = −log σ(β(Δ⁺ − Δ⁻)),  Δ = log π(y|x) − log π₀(y|x), summed over the answer's tokens.
β(Δ⁺ − Δ⁻) is the margin of the implicit reward r = βΔ (equation 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example, Scored

from .base import Loss, Scorer, Totals, counts


def dpo_loss(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    reference_chosen_logps: Tensor,
    reference_rejected_logps: Tensor,
    *,
    beta: float,
) -> Tensor:
    """−log σ(β(Δ⁺ − Δ⁻)) for each pair: summed log-probabilities [E] in, losses [E] out."""
    chosen = chosen_logps - reference_chosen_logps
    rejected = rejected_logps - reference_rejected_logps
    return softplus(-beta * (chosen - rejected))


@dataclass(frozen=True, slots=True, kw_only=True)
class DPOObjective:
    """DPO, averaged over the pairs of the step. ``beta`` > 0 holds the policy near its reference."""

    beta: float = 0.1

    name: ClassVar[str] = "dpo"
    batch: ClassVar[BatchKind] = "pairs"
    reads: ClassVar[Literal["logps", "values"]] = "logps"
    reference: ClassVar[bool] = True
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("chosen_reward", "rejected_reward", "margin", "accuracy")

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise InputError(f"beta {self.beta} is not allowed: DPO needs one above 0 (paper: 0.1).")

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Pairs of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over pairs, with the implicit rewards."""
        policy, reference = scored.sums(), scored.reference_sums()
        losses = dpo_loss(policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1], beta=self.beta)
        rewards = self.beta * (policy.detach() - reference)
        margins = rewards[:, 0] - rewards[:, 1]
        pairs = totals["examples"]
        return Loss(
            value=losses.sum() / pairs,
            metrics={
                "chosen_reward": rewards[:, 0].sum() / pairs,
                "rejected_reward": rewards[:, 1].sum() / pairs,
                "margin": margins.sum() / pairs,
                "accuracy": (margins > 0).to(margins).sum() / pairs,
            },
        )
