"""Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036, equation 17).

loss = (h − 1/(2τ))²,  h = Δ⁺ − Δ⁻,  Δ = log π(y|x) − log π₀(y|x)

It pulls the margin *to* 1/(2τ) instead of to infinity, so that pairs which always agree do not overrule the
reference. gpo.py's squared member with β = 2τ, over β². The equation sums log-probabilities over an answer;
its authors later said that their experiments averaged them per token: ``reduction`` names which.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.batches import Scored
from trueline.training.dials import above_zero, one_of

from .base import Totals
from .gpo import gpo_loss, squared
from .pairs import REDUCTIONS, PairObjective, Reduction, log_ratios


def ipo_loss(margins: Tensor, *, tau: float) -> Tensor:
    """(h − 1/(2τ))² for each pair: margins h = Δ⁺ − Δ⁻ [E] in, losses [E] out."""
    return gpo_loss(margins, beta=2 * tau, convex=squared) / (2 * tau) ** 2


@dataclass(frozen=True, kw_only=True)
class IPOObjective(PairObjective):
    """IPO; ``tau`` > 0 holds the policy near its reference; its rewards are τΔ."""

    tau: float = 0.1
    reduction: Reduction = "mean"

    name: ClassVar[str] = "ipo"
    reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        above_zero(self.name, tau=self.tau)
        one_of(self.name, REDUCTIONS, reduction=self.reduction)

    def judge(self, scored: Scored, totals: Totals) -> tuple[Tensor, Tensor]:
        """The losses, and the rewards τΔ."""
        ratios = log_ratios(scored, self.reduction)
        return ipo_loss(ratios[:, 0] - ratios[:, 1], tau=self.tau), self.tau * ratios
