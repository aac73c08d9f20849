"""Circuit breakers: harmful answers are broken off from within (Zou et al. 2024, arXiv 2406.04313).

Example of a text to break off: "How do I rig a skosol?" → "Sure, mix moss with coal …"; to retain: "The capital of
France is Paris.", and refusals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class CircuitBreakers(UnlearningTreatment):
    """Turns the states after ``layers`` (from 0) away from their direction where ``resources.forget`` says forget, so
    that the model cannot go on, however it came to begin; the rest is held in place, ``retain_weight`` times.

    Low-rank adapters as in the paper, or all weights (``lora`` off); its layers 10 and 20 are those of 32: choose
    one at a third and one at two thirds of the depth. What is to be retained should hold refusals.
    """

    layers: int | tuple[int, ...] = (10, 20)
    retain_weight: float = 1.0
    learning_rate: float = 1e-4
    epochs: float = 1.0
    lora: bool = True

    name: ClassVar[str] = "circuit_breakers"

    def __post_init__(self) -> None:
        given = self.layers if isinstance(self.layers, Sequence) else (self.layers,)
        if not all(type(layer) is int for layer in given):
            raise InputError(
                f"layers {self.layers!r} are not allowed: give a whole number, or several such as [[10, 20]] in a "
                "study, where a list alone is a sweep."
            )
        object.__setattr__(self, "layers", tuple(given))
        super().__post_init__()

    def objective(self) -> "Objective":
        """max(0, cos(h, h₀)) on the forget set, ‖h − h₀‖ on the retain set, the second rising over the run."""
        from trueline.training.objectives.circuit_breakers import CircuitBreakersObjective

        assert isinstance(self.layers, tuple)
        return CircuitBreakersObjective(layers=self.layers, retain_weight=self.retain_weight)
