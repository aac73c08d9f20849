"""RESTA: restoring safety by task arithmetic (Bhardwaj, Do and Poria 2024, arXiv 2402.11746).

θ = θ_base + DARE(θ_tuned − θ_base) + γ (θ_base − θ_unaligned): the safety vector, from a model with the safety
trained out to the aligned one, is added to the fine-tuned weights. DARE (``drop`` > 0) thins the fine-tune's own
vector first. Example: a weight of base 1.0, tuned 1.3, unaligned 0.8, at γ = 0.5: 1.3 + 0.5 · 0.2 = 1.4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError

from .reweighted import Reweighted

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class RESTA(Reweighted):
    """Adds ``strength`` γ times the safety vector; ``drop`` is the share of the fine-tune's changes dropped."""

    strength: float = 1.0
    drop: float = 0.0

    name: ClassVar[str] = "resta"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.drop < 1:
            raise InputError(f"resta with drop {self.drop} is not allowed: give a share in [0, 1).")

    def combine(
        self,
        tuned: "Mapping[str, Tensor]",
        base: "Mapping[str, Tensor]",
        unaligned: "Mapping[str, Tensor]",
        seed: int,
    ) -> "tuple[Mapping[str, Tensor], dict[str, Any]]":
        """The equation above; tells the norms of both vectors."""
        from trueline.training.weights import add_scaled, difference, drop_and_rescale

        change, safety = difference(tuned, base), difference(base, unaligned)
        thinned = add_scaled(base, drop_and_rescale(change, self.drop, seed), 1.0) if self.drop else tuned
        told = {"norm of the fine-tune": _norm(change), "norm of the safety vector": _norm(safety)}
        return add_scaled(thinned, safety, self.strength), told


def _norm(vector: "Mapping[str, Tensor]") -> float:
    return math.sqrt(sum(float(value.square().sum()) for value in vector.values()))
