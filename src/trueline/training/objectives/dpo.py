"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

loss = −log σ(β(Δ⁺ − Δ⁻)),  Δ = log π(y|x) − log π₀(y|x), summed over the answer's tokens.
β(Δ⁺ − Δ⁻) is the margin of the implicit reward r = βΔ (equation 6). The logistic member of gpo.py's family.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .gpo import FamilyObjective, gpo_loss, logistic


def dpo_loss(margins: Tensor, *, beta: float) -> Tensor:
    """−log σ(β(Δ⁺ − Δ⁻)) for each pair: margins Δ⁺ − Δ⁻ [E] in, losses [E] out."""
    return gpo_loss(margins, beta=beta, convex=logistic)


@dataclass(frozen=True, kw_only=True)
class DPOObjective(FamilyObjective):
    """DPO, averaged over the pairs of the step. ``beta`` > 0 holds the policy near its reference."""

    name: ClassVar[str] = "dpo"

    def losses(self, margins: Tensor) -> Tensor:
        """−log σ(β(Δ⁺ − Δ⁻))."""
        return dpo_loss(margins, beta=self.beta)
