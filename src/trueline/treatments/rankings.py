"""What treatments that learn ranked lists share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .trained import TrainedTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared


@dataclass(frozen=True, kw_only=True)
class RankingTreatment(TrainedTreatment):
    """Learns ``resources.rankings``; each method is a subclass with its dials and ``objective``."""

    resources: ClassVar[tuple[str, ...]] = ("rankings",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective()  # which refuses impossible dials

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Lists as trees with a branch an answer, the best first."""
        from trueline.training.data import ranked_examples

        return ranked_examples(codec, data, max_length)
