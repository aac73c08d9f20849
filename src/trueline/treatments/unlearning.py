"""What unlearning treatments share: texts to forget and texts to retain as labelled examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .trained import TrainedTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared


@dataclass(frozen=True, kw_only=True)
class UnlearningTreatment(TrainedTreatment):
    """Learns from ``resources.forget``; each method is a subclass with its dials and ``objective``."""

    learning_rate: float = 1e-5
    epochs: float = 5.0

    resources: ClassVar[tuple[str, ...]] = ("forget",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective()  # which refuses impossible dials

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Documents and answers, each a tree with one branch and its label."""
        from trueline.data.labelled import check_sides
        from trueline.training.data import labelled_text_examples

        check_sides(data, f"what {self.name} learns from")
        return labelled_text_examples(codec, data, max_length)
