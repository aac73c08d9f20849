"""What treatments that learn preference pairs share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .trained import TrainedTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared


@dataclass(frozen=True, kw_only=True)
class PreferenceTreatment(TrainedTreatment):
    """Learns ``resources.preferences``; each method is a subclass with its dials and ``objective``."""

    resources: ClassVar[tuple[str, ...]] = ("preferences",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective()  # which refuses impossible dials

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Pairs as trees with two branches."""
        from trueline.training.data import preference_examples

        return preference_examples(codec, data, max_length)
