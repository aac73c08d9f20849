"""What unlearning objectives share: a term on what is to be forgotten, and the likelihood of what is to be retained.

loss = forget term + retain_weight · (−Σ ℓ_t / N over the retained tokens of the step)

An example's fact ``wanted`` is 0 (forget) or 1 (retain). Each term is a mean over its own part of the step, so the
shares of the two in the data do not change their weights.

Legend: F texts to forget; their log-probabilities are summed over tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.dials import at_least_zero
from trueline.training.readings import LOGPS, Reading

from .base import Loss, Scorer, Totals

WANTED = "wanted"


@dataclass(frozen=True, kw_only=True)
class UnlearningObjective:
    """Forget some texts and retain others; a method gives ``forget`` (and its name, reference and dials)."""

    retain_weight: float = 1.0

    name: ClassVar[str]
    batch: ClassVar[BatchKind] = "labelled"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("forget_nll", "retain_nll")

    def __post_init__(self) -> None:
        at_least_zero(self.name, retain_weight=self.retain_weight)

    def forget(self, logps: Tensor, reference: Tensor | None, lengths: Tensor, totals: Totals) -> Tensor:
        """This pass's share of the forget term; summed log-probabilities and lengths [F] in, a scalar out."""
        raise NotImplementedError

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Texts to forget, and tokens of either kind."""
        return unlearning_totals(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of both terms; the metrics are −ℓ per token of either kind."""
        logps, lengths, kept = scored.sums()[:, 0], scored.lengths()[:, 0], scored.fact(WANTED)[:, 0] > 0
        reference = scored.reference_sums()[~kept, 0] if self.reference else None
        forget = self.forget(logps[~kept], reference, lengths[~kept], totals)
        retain = share(-logps[kept], totals["retain_tokens"])
        return Loss(
            value=forget + self.retain_weight * retain,
            metrics={
                "forget_nll": share(-logps[~kept].detach(), totals["forget_tokens"]),
                "retain_nll": retain.detach(),
            },
        )


def share(losses: Tensor, count: float) -> Tensor:
    """Σ losses / count; 0 where a step has none of the kind."""
    return losses.sum() / max(count, 1.0)


def unlearning_totals(examples: Sequence[Example]) -> dict[str, float]:
    """Texts to forget, and tokens of either kind."""
    forget = [example for example in examples if not example.facts[WANTED][0]]
    tokens = sum(example.answer_tokens for example in forget)
    everything = sum(example.answer_tokens for example in examples)
    return {
        "forget": float(len(forget)),
        "forget_tokens": float(tokens),
        "retain_tokens": float(everything - tokens),
    }
