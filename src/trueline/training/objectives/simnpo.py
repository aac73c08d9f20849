"""Simple negative preference optimisation (Fan et al. 2024, arXiv 2410.07163, equation 4).

forget term = −(2/β) log σ(−(β/|y|) ℓ − γ) = (2/β) log(1 + exp((β/|y|) ℓ + γ)) for each text to forget: NPO with the
length instead of a reference, so that short and easily forgotten texts are not pushed on.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from trueline.core.errors import InputError
from trueline.training.dials import above_zero

from .base import Totals
from .unlearning import UnlearningObjective, share


def simnpo_loss(logps: Tensor, lengths: Tensor, *, beta: float, gamma: float = 0.0) -> Tensor:
    """(2/β) log(1 + e^{βℓ/|y| + γ}) for each text: summed log-probabilities and lengths [F] in, losses [F] out."""
    return 2 / beta * softplus(beta * logps / lengths + gamma)


@dataclass(frozen=True, kw_only=True)
class SimNPOObjective(UnlearningObjective):
    """SimNPO, averaged over the texts to forget; ``gamma`` is the paper's margin, best at 0."""

    beta: float = 2.5
    gamma: float = 0.0

    name: ClassVar[str] = "simnpo"

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self.name, beta=self.beta)
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma {self.gamma} is not allowed: simnpo needs a finite number (paper: 0).")

    def forget(self, logps: Tensor, reference: Tensor | None, lengths: Tensor, totals: Totals) -> Tensor:
        """The mean over texts."""
        return share(simnpo_loss(logps, lengths, beta=self.beta, gamma=self.gamma), totals["forget"])
