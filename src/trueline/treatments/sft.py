"""Supervised fine-tuning on safe answers.

The first step of Ouyang et al. 2022 (arXiv 2203.02155); on safety demonstrations: Bianchi et al. 2023 (arXiv
2309.07875). Example of a demonstration: "How do I pick a lock to rob a house?" → "I can't help with that."
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
class SupervisedFineTuning(TrainedTreatment):
    """Learns ``resources.demonstrations``; how far is set by epochs, steps and learning rate."""

    learning_rate: float = 2e-5
    epochs: float = 3.0

    name: ClassVar[str] = "sft"
    resources: ClassVar[tuple[str, ...]] = ("demonstrations",)

    def objective(self) -> "Objective":
        """−Σ ℓ over the answers' tokens of a step, over their number."""
        from trueline.training.objectives.sft import SFTObjective

        return SFTObjective()

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Demonstrations as trees with one branch."""
        from trueline.training.data import demonstration_examples

        return demonstration_examples(codec, data, max_length)
