"""Safe LoRA: project a fine-tune's updates onto the alignment subspace (Hsu et al. 2024, arXiv 2405.16833).

For each adapted matrix: V = W_base − W_unaligned, Ĉ = V Vᵀ / ‖V‖; where cos(ΔW, Ĉ ΔW) is below ``threshold``, ΔW
becomes Ĉ ΔW (training/weights.py). Adapters come merged, ΔW = W_tuned − W_base, which is B·A·alpha/rank; so fully
fine-tuned matrices are projected alike, and vectors, embeddings and head keep their changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError

from .reweighted import Reweighted

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SafeLoRA(Reweighted):
    """Projects what is less aligned than ``threshold`` in [−1, 1]; 1 projects every layer."""

    threshold: float = 0.35

    name: ClassVar[str] = "safe_lora"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -1 <= self.threshold <= 1:
            raise InputError(f"safe_lora with threshold {self.threshold}: a cosine is in [-1, 1]; give one.")

    def combine(
        self,
        tuned: "Mapping[str, Tensor]",
        base: "Mapping[str, Tensor]",
        unaligned: "Mapping[str, Tensor]",
        seed: int,
    ) -> "tuple[Mapping[str, Tensor], dict[str, Any]]":
        """The projected weights; tells the cosine of each layer and which were projected."""
        from trueline.training.weights import difference, project_to_alignment

        change, alignment = difference(tuned, base), difference(base, unaligned)
        weights, cosines, projected = dict(tuned), {}, []
        for name in tuned:
            if tuned[name].ndim != 2 or any(part in name for part in ("embed", "wte", "wpe", "lm_head")):
                continue
            found = project_to_alignment(change[name], alignment[name], self.threshold)
            cosines[name] = round(found.cosine, 4)
            if found.taken:
                weights[name] = base[name] + found.update
                projected.append(name)
        return weights, {"cosines": cosines, "projected": projected}
