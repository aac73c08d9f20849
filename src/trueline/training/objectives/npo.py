"""Negative preference optimisation (Zhang et al. 2024, arXiv 2404.05868, equation 3).

forget term = (2/β) log(1 + (π/π₀)^β) for each text to forget, π/π₀ = exp Δ: DPO's loss without a chosen answer. Its
gradient is that of ascent, weighted by 2(π/π₀)^β / (1 + (π/π₀)^β), so what is forgotten already pulls no more;
β → 0 is gradient ascent. With the retain term it is the paper's NPO + RT.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from trueline.training.dials import above_zero

from .base import Totals
from .unlearning import UnlearningObjective, share


def npo_loss(logps: Tensor, reference_logps: Tensor, *, beta: float) -> Tensor:
    """(2/β) log(1 + e^{βΔ}) for each text: summed log-probabilities [F] in, losses [F] out."""
    return 2 / beta * softplus(beta * (logps - reference_logps))


@dataclass(frozen=True, kw_only=True)
class NPOObjective(UnlearningObjective):
    """NPO, averaged over the texts to forget; the larger ``beta`` > 0, the nearer to the reference it stays."""

    beta: float = 0.1

    name: ClassVar[str] = "npo"
    reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self.name, beta=self.beta)

    def forget(self, logps: Tensor, reference: Tensor | None, lengths: Tensor, totals: Totals) -> Tensor:
        """The mean over texts."""
        assert reference is not None, "the loop refuses examples without reference before the first step"
        return share(npo_loss(logps, reference, beta=self.beta), totals["forget"])
