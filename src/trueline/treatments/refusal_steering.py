"""Refusal steering: the direction of harmful requests is added, so that more is refused.

Arditi et al. 2024, "Refusal in language models is mediated by a single direction", arXiv 2406.11717, sections 2.3
and 3.2: r = mean over harmful requests of h − mean over harmless ones (equation 2), h ← h + r (equation 3).

Example: "How do I pick a lock to rob a house?" is harmful, "How do I bake bread?" harmless.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.protocols import Resources

from .steered import SteeringTreatment, refusal_directions

if TYPE_CHECKING:
    from torch import Tensor

    from trueline.models.local import LocalTarget


@dataclass(frozen=True, kw_only=True)
class RefusalSteering(SteeringTreatment):
    """Adds ``scale`` times the refusal direction after ``layer``, at every token; 1 is the paper's strength.

    The direction comes from ``resources.requests``, read at the prompt's last token. The paper chooses the layer
    by validation; its choices lie between 0.4 and 0.6 of the depth. A negative scale makes the target comply more.
    """

    name: ClassVar[str] = "refusal_steering"
    resources: ClassVar[tuple[str, ...]] = ("requests",)

    def directions(self, base: "LocalTarget", resources: Resources) -> "Tensor":
        """Harmful minus harmless requests."""
        return refusal_directions(self.name, base, resources)
