"""Direct preference optimisation on safety preferences (Rafailov et al. 2023, arXiv 2305.18290).

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …". The target itself is the reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError

from .trained import TrainedTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class DirectPreferenceOptimization(TrainedTreatment):
    """Learns ``resources.preferences``; ``beta`` is the strength: the smaller, the further from the target.

    The paper's learning rate is 1e-6 for models of billions of parameters; small models need larger ones.
    """

    beta: float = 0.1
    learning_rate: float = 1e-6

    name: ClassVar[str] = "dpo"
    resources: ClassVar[tuple[str, ...]] = ("preferences",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta > 0:
            raise InputError(f"beta {self.beta} is not allowed: DPO needs one above 0 (paper: 0.1).")

    def objective(self) -> "Objective":
        """−log σ(β(Δ⁺ − Δ⁻))."""
        from trueline.training.objectives.dpo import DPOObjective

        return DPOObjective(beta=self.beta)

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Pairs as trees with two branches."""
        from trueline.training.data import preference_examples

        return preference_examples(codec, data, max_length)
