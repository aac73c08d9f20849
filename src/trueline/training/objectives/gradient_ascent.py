"""Gradient ascent on what is to be forgotten (Jang et al. 2022, arXiv 2210.01504, equation 1), alone or in GradDiff.

forget term = Σ ℓ_t / N over the tokens t that are to be forgotten: the training loss with its sign turned. It has no
lower bound, so it runs away: few steps, and a small learning rate. With a retain term it is the gradient difference
(Liu et al. 2022, arXiv 2203.12817; the name is that of TOFU, 2401.06121).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .base import Totals
from .unlearning import UnlearningObjective, share


def ascent_loss(logps: Tensor, total_tokens: float) -> Tensor:
    """Σ ℓ / N: summed log-probabilities [F], N the tokens to forget of the whole step; a scalar."""
    return share(logps, total_tokens)


@dataclass(frozen=True, kw_only=True)
class GradDiffObjective(UnlearningObjective):
    """Ascent on the forget set, descent on the retain set."""

    name: ClassVar[str] = "graddiff"

    def forget(self, logps: Tensor, reference: Tensor | None, lengths: Tensor, totals: Totals) -> Tensor:
        """The token mean of ℓ."""
        return ascent_loss(logps, totals["forget_tokens"])


@dataclass(frozen=True, kw_only=True)
class GradientAscentObjective(GradDiffObjective):
    """Ascent alone."""

    retain_weight: float = 0.0

    name: ClassVar[str] = "gradient_ascent"
