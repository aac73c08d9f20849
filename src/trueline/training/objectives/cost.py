"""A cost model: which answer is less safe, and on which side of zero it lies.

Dai et al. 2023, arXiv 2310.12773, equation 6. With s = +1 for an unsafe answer and −1 for a safe one,

    loss = −log σ(c(less safe) − c(safer)) − Σ_y log σ(s(y) c(y))

The second term gives the threshold 0 its meaning: without it costs would be known up to a constant for each prompt.
Which answer is less safe is asked apart from which one is preferred; where two are alike, only the second term counts.
Example: c = 2 of an unsafe answer, −1 of a safe one: 0.048587 + 0.126928 + 0.313262 = 0.488777.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import REWARD, Reading

from .base import Loss, Scorer, Totals, counts

UNSAFE, LESS_SAFE = "unsafe", "less_safe"  # facts of a pair: s of both answers, and the order in safety


def cost_loss(costs: Tensor, unsafe: Tensor, less_safe: Tensor) -> Tensor:
    """The loss of each pair: costs [E, 2], unsafe [E, 2] of ±1, less_safe [E] in; losses [E] out.

    ``less_safe`` is 1 where the second answer is the less safe one, −1 where the first is, 0 where neither.
    """
    ordered = less_safe.abs() * softplus(-less_safe * (costs[:, 1] - costs[:, 0]))
    return ordered + softplus(-unsafe * costs).sum(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostObjective:
    """The cost model's loss, averaged over the pairs of the step."""

    name: ClassVar[str] = "cost"
    batch: ClassVar[BatchKind] = "pairs"
    reads: ClassVar[tuple[Reading, ...]] = (REWARD,)
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("order_accuracy", "sign_accuracy", "mean_cost")

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Pairs of the step, and those whose answers differ in safety."""
        ordered = sum(abs(example.facts.get(LESS_SAFE, (0.0,))[0]) for example in examples)
        return {**counts(examples), "ordered": ordered}

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the mean over pairs, with how often order and sign are right."""
        costs, pairs = scored.sums(), totals["examples"]
        unsafe, less_safe = scored.fact(UNSAFE), scored.fact(LESS_SAFE)[:, 0]
        losses = cost_loss(costs, unsafe, less_safe)
        known = costs.detach()
        in_order = less_safe * (known[:, 1] - known[:, 0]) > 0
        return Loss(
            value=losses.sum() / pairs,
            metrics={
                "order_accuracy": in_order.to(known).sum() / max(1.0, totals["ordered"]),
                "sign_accuracy": (unsafe * known > 0).to(known).mean(dim=1).sum() / pairs,
                "mean_cost": known.mean(dim=1).sum() / pairs,
            },
        )
