"""Supervised fine-tuning: make the given answer likely.

loss = −Σ ℓ_t / N over the answer tokens t of the *whole* optimiser step, N their number, end tokens included.
Averaging per pass instead weights tokens by how the step happened to be split (transformers issue 34191).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import LOGPS, Reading

from .base import Loss, Scorer, Totals, counts


def sft_loss(token_logps: Tensor, total_tokens: float) -> Tensor:
    """−Σ ℓ_t / N: ``token_logps`` [any number of tokens], N the answer tokens of the whole step; a scalar."""
    return -token_logps.sum() / total_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTObjective:
    """Supervised fine-tuning on one answer a prompt."""

    name: ClassVar[str] = "sft"
    batch: ClassVar[BatchKind] = "sequences"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = ()

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answer tokens of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the token mean."""
        return Loss(value=sft_loss(scored.flat(), totals["tokens"]))
