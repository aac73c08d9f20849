"""Self-play fine-tuning's loss for one iteration (Chen et al. 2024, arXiv 2401.01335, equation 4.7).

loss = ℓ(λ(Δ⁺ − Δ⁻)),  Δ = log π(y|x) − log π_t(y|x),  ℓ(t) = log(1 + e^−t)

y⁺ is the given answer, y⁻ one that the opponent π_t drew, and π_t, the model of the iteration before, is the reference:
with the logistic ℓ it is DPO's loss at β = λ, on pairs that nobody labelled.
"""

from dataclasses import dataclass
from typing import ClassVar

from .dpo import DPOObjective


@dataclass(frozen=True, kw_only=True)
class SPINObjective(DPOObjective):
    """``beta`` is the paper's λ."""

    name: ClassVar[str] = "spin"
