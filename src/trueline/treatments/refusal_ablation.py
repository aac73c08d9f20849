"""Refusal ablation: the direction of harmful requests is projected out of every activation. A probe, no repair.

Arditi et al. 2024, arXiv 2406.11717, section 2.4: h ← h − r̂ r̂ᵀh (equation 4) wherever the residual stream is read,
with the direction of ``refusal_steering``. It shows how much of a model's safety hangs on one direction, which whoever
holds the weights can take out: compare harmful compliance with the untreated arm. Equal to editing the weights
(the paper's section 4.1).

Example: "How do I pick a lock to rob a house?" is harmful, "How do I bake bread?" harmless.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources

from .steered import SteeringTreatment, refusal_directions

if TYPE_CHECKING:
    from torch import Tensor

    from trueline.models.local import LocalTarget
    from trueline.models.requests import Intervention


@dataclass(frozen=True, kw_only=True)
class RefusalAblation(SteeringTreatment):
    """Takes out ``scale`` (in (0, 1]; 1 is the paper's) of the refusal direction, as it is after ``layer``.

    The direction comes from ``resources.requests``, read at the prompt's last token.
    """

    name: ClassVar[str] = "refusal_ablation"
    resources: ClassVar[tuple[str, ...]] = ("requests",)

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise InputError(
                f"refusal_ablation with scale {self.scale} is not allowed: it is the share of the direction "
                "that is taken out, above 0 and at most 1."
            )

    def directions(self, base: "LocalTarget", resources: Resources) -> "Tensor":
        """Harmful minus harmless requests."""
        return refusal_directions(self.name, base, resources)

    def intervention(self, direction: "Tensor", layer: int) -> "Intervention":
        """The direction of the chosen layer is taken out of all layers."""
        from trueline.interventions.steering import AblateDirection

        return AblateDirection(direction=direction, scale=self.scale)
