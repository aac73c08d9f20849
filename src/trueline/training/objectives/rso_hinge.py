"""The hinge-norm loss of statistical rejection sampling optimisation (Liu et al. 2023, arXiv 2309.06657).

loss = max(0, 1 − β(Δ⁺ − Δ⁻)),  Δ = log π(y|x) − log π₀(y|x), summed over the answer's tokens.

A pair whose margin has reached 1/β teaches nothing more. gpo.py's hinge member; the paper calls β γ, and
draws its pairs by rejection sampling (here they are as given).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .gpo import FamilyObjective, gpo_loss, hinge


def rso_hinge_loss(margins: Tensor, *, beta: float) -> Tensor:
    """max(0, 1 − β(Δ⁺ − Δ⁻)) for each pair: margins Δ⁺ − Δ⁻ [E] in, losses [E] out."""
    return gpo_loss(margins, beta=beta, convex=hinge)


@dataclass(frozen=True, kw_only=True)
class RSOHingeObjective(FamilyObjective):
    """RSO's hinge-norm; the paper's ``beta`` is 0.05."""

    beta: float = 0.05

    name: ClassVar[str] = "rso_hinge"

    def losses(self, margins: Tensor) -> Tensor:
        """max(0, 1 − β(Δ⁺ − Δ⁻))."""
        return rso_hinge_loss(margins, beta=self.beta)
