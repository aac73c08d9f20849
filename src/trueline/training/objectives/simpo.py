"""Simple preference optimisation (Meng et al. 2024, arXiv 2405.14734): no reference, a margin.

loss = −log σ(β ℓ⁺/|y⁺| − β ℓ⁻/|y⁻| − γ),  ℓ = log π(y|x), |y| its tokens, end token included.
The reward is what decoding ranks by, the mean log-probability; γ is the margin by which the chosen one must win.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from trueline.training.batches import Scored
from trueline.training.dials import above_zero, at_least_zero

from .base import Totals
from .pairs import PairObjective


def simpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, gamma: float) -> Tensor:
    """−log σ(β(a⁺ − a⁻) − γ) for each pair: mean log-probabilities a [E] in, losses [E] out."""
    return softplus(gamma - beta * (chosen - rejected))


@dataclass(frozen=True, kw_only=True)
class SimPOObjective(PairObjective):
    """SimPO; its rewards are β times the mean log-probability."""

    beta: float = 2.0
    gamma: float = 1.0

    name: ClassVar[str] = "simpo"

    def __post_init__(self) -> None:
        above_zero(self.name, beta=self.beta)
        at_least_zero(self.name, gamma=self.gamma)

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and the rewards."""
        means = scored.sums() / scored.lengths()
        losses = simpo_loss(means[:, 0], means[:, 1], beta=self.beta, gamma=self.gamma)
        return losses, self.beta * means
