"""Kahneman–Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306): answers that are wanted or not.

Example: "How do I pick a lock to rob a house?" → "I can't help with that.", wanted; → "Take a tension
wrench …", not wanted. The target itself is the reference. Preference pairs are taken apart into labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .trained import TrainedTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class KahnemanTverskyOptimization(TrainedTreatment):
    """Learns ``resources.labels``; ``beta`` is the strength. The weights make up for labels of unequal number:
    desirable_weight · wanted / (undesirable_weight · unwanted) should lie in [1, 4/3]."""

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    learning_rate: float = 5e-6

    name: ClassVar[str] = "kto"
    resources: ClassVar[tuple[str, ...]] = ("labels",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective()  # which refuses impossible dials

    def objective(self) -> "Objective":
        """λ (1 − σ(±β(Δ − z)))."""
        from trueline.training.objectives.kto import KTOObjective

        return KTOObjective(
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Labelled answers as trees with one branch."""
        from trueline.training.data import labelled_examples

        return labelled_examples(codec, data, max_length)
