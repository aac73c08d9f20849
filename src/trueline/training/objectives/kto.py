"""Kahneman–Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8).

It learns from answers that are called wanted (D) or not (U) one at a time:

    wanted     λ_D (1 − σ(β(Δ − z)))
    unwanted   λ_U (1 − σ(β(z − Δ)))        Δ = log π(y|x) − log π₀(y|x), summed over the answer's tokens

z estimates KL(π ‖ π₀), from which gains and losses are counted: the mean of Δ(x, y') over the *whole* optimiser
step, y' an answer to another prompt, without gradient, and at least 0. Averaged over a pass instead, the
baseline would depend on how the step happened to be split. The paper asks for λ_D n_D / (λ_U n_U) in [1, 4/3].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.dials import above_zero
from trueline.training.readings import LOGPS, Reading

from .base import Loss, Scorer, Totals, counts


def kto_loss(
    log_ratios: Tensor,
    wanted: Tensor,
    *,
    baseline: float,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensor:
    """λ (1 − σ(±β(Δ − z))) for each answer: Δ and wanted (1 or 0) [E] in, losses [E] out."""
    signs = 2 * wanted - 1
    weights = torch.where(wanted > 0, desirable_weight, undesirable_weight)
    # 1 − σ(x) = σ(−x), which keeps its digits where x is large
    return weights * torch.sigmoid(-beta * signs * (log_ratios - baseline))


@dataclass(frozen=True, slots=True, kw_only=True)
class KTOObjective:
    """KTO, averaged over the answers of the step; ``beta`` > 0 holds the policy near its reference."""

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    name: ClassVar[str] = "kto"
    batch: ClassVar[BatchKind] = "labelled"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS,)
    reference: ClassVar[bool] = True
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("wanted_reward", "unwanted_reward", "baseline")

    def __post_init__(self) -> None:
        above_zero(
            self.name,
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answers of the step, how many of them are wanted, and ΣΔ over the mismatched ones."""
        mismatched = [_mismatched(example) for example in examples]
        now = score([example.tree for example in mismatched])
        ratios = [
            new.double().sum() - old.to(new).double().sum()
            for branches, example in zip(now, mismatched)
            for new, old in zip(branches, example.reference or ())
        ]
        wanted = sum(example.facts["wanted"][0] for example in examples)
        divergence = float(torch.stack(ratios).sum()) if ratios else 0.0
        return {**counts(examples), "wanted": wanted, "divergence": divergence}

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over answers; the rewards βΔ are averaged over their own kind."""
        answers, baseline = totals["examples"], max(0.0, totals["divergence"] / totals["examples"])
        ratios = (scored.sums() - scored.reference_sums())[:, 0]
        wanted = scored.fact("wanted")[:, 0]
        losses = kto_loss(
            ratios,
            wanted,
            baseline=baseline,
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )
        rewards = self.beta * ratios.detach()
        return Loss(
            value=losses.sum() / answers,
            metrics={
                "wanted_reward": (rewards * wanted).sum() / max(1.0, totals["wanted"]),
                "unwanted_reward": (rewards * (1 - wanted)).sum() / max(1.0, answers - totals["wanted"]),
                "baseline": torch.full_like(rewards, baseline).sum() / answers,
            },
        )


def _mismatched(example: Example) -> Example:
    if example.mismatched is None or example.mismatched.reference is None or "wanted" not in example.facts:
        raise InputError(
            f"example {example.index} carries no label, or no answer to another prompt with its reference, "
            "which kto needs; make it with trueline.training.data.labelled_examples and add_reference."
        )
    return example.mismatched
