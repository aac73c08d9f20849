"""Unlearning by representation misdirection, RMU (Li et al. 2024, WMDP, arXiv 2403.03218).

Example of a text to forget: "How do I rig a skosol?" → "Mix moss with coal …"; to retain: "The capital of France is
Paris."
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class RepresentationMisdirection(UnlearningTreatment):
    """Scrambles what ``resources.forget`` names after an inner ``layer`` (from 0); the rest is held in place.

    ``steering`` is the length to which states are sent; the paper's 6.5 and 1200, and its layer 7 of 32, are those of
    a model of 7 billion parameters: choose a length of some times the states' own.
    """

    layer: int = 7
    steering: float = 6.5
    retain_weight: float = 1200.0
    learning_rate: float = 5e-5

    name: ClassVar[str] = "rmu"

    def objective(self) -> "Objective":
        """‖h − c·u‖²/D on the forget set, ‖h − h₀‖²/D on the retain set."""
        from trueline.training.objectives.rmu import RMUObjective

        return RMUObjective(layer=self.layer, steering=self.steering, retain_weight=self.retain_weight)
