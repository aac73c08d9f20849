"""Conservative DPO: DPO that believes a share ε of the preferences to be flipped.

Mitchell 2023, "A note on DPO with noisy preferences"; also in Chowdhury et al. 2024, arXiv 2403.00409.
loss = −(1 − ε) log σ(β(Δ⁺ − Δ⁻)) − ε log σ(−β(Δ⁺ − Δ⁻))

Least where σ(β(Δ⁺ − Δ⁻)) = 1 − ε: a margin of log((1 − ε)/ε)/β is enough, more is punished.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.training.dials import flip_rate

from .dpo import dpo_loss
from .gpo import FamilyObjective


def cdpo_loss(margins: Tensor, *, beta: float, label_smoothing: float) -> Tensor:
    """(1 − ε) L(h) + ε L(−h), L the DPO loss: margins h = Δ⁺ − Δ⁻ [E] in, losses [E] out."""
    kept, flipped = dpo_loss(margins, beta=beta), dpo_loss(-margins, beta=beta)
    return (1 - label_smoothing) * kept + label_smoothing * flipped


@dataclass(frozen=True, kw_only=True)
class CDPOObjective(FamilyObjective):
    """Conservative DPO; ``label_smoothing`` is ε in [0, 0.5), at 0 it is DPO."""

    label_smoothing: float = 0.1

    name: ClassVar[str] = "cdpo"

    def __post_init__(self) -> None:
        FamilyObjective.__post_init__(self)
        flip_rate(self.name, label_smoothing=self.label_smoothing)

    def losses(self, margins: Tensor) -> Tensor:
        """(1 − ε) L(h) + ε L(−h)."""
        return cdpo_loss(margins, beta=self.beta, label_smoothing=self.label_smoothing)
