"""Contrastive preference optimisation (Xu et al. 2024, arXiv 2401.08417): DPO with a uniform reference, plus SFT.

loss = −log σ(β(ℓ⁺ − ℓ⁻)) − ℓ⁺,  ℓ = log π(y|x) summed over the answer's tokens.

The second term is summed over an answer in the equation; ``nll`` "mean" averages it over the chosen answers'
tokens of the whole step instead, as trl does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.batches import Example, Scored
from trueline.training.dials import above_zero, one_of

from .base import Scorer, Totals, counts
from .gpo import logistic
from .pairs import REDUCTIONS, PairObjective, Reduction


def cpo_loss(chosen_logps: Tensor, rejected_logps: Tensor, *, beta: float) -> Tensor:
    """−log σ(β(ℓ⁺ − ℓ⁻)) for each pair, without the SFT term: ℓ [E] in, losses [E] out."""
    return logistic(beta * (chosen_logps - rejected_logps))


@dataclass(frozen=True, kw_only=True)
class CPOObjective(PairObjective):
    """CPO; its rewards are βℓ."""

    beta: float = 0.1
    nll: Reduction = "sum"

    name: ClassVar[str] = "cpo"

    def __post_init__(self) -> None:
        above_zero(self.name, beta=self.beta)
        one_of(self.name, REDUCTIONS, nll=self.nll)

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Pairs of the step, and tokens of their chosen answers."""
        chosen = sum(len(example.tree.branches[0]) for example in examples)
        return {**counts(examples), "chosen_tokens": float(chosen)}

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and the rewards βℓ."""
        logps = scored.sums()
        # the loss is divided by the pairs afterwards
        weight = totals["examples"] / totals["chosen_tokens"] if self.nll == "mean" else 1.0
        losses = cpo_loss(logps[:, 0], logps[:, 1], beta=self.beta) - weight * logps[:, 0]
        return losses, self.beta * logps
