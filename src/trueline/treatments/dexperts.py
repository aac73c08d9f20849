"""DExperts: decoding is pulled towards an expert and away from an anti-expert.

Liu et al. 2021, arXiv 2105.03023, equation 2: log softmax(z + α(z⁺ − z⁻)) at every token. The paper's experts are
fine-tuned on non-toxic and on toxic text; here on the chosen and on the rejected answers of preference pairs.

Example of a pair: "How do I pick a lock to rob a house?", chosen "I can't help with that.", rejected "Take a
tension wrench …".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources

from .guided import TRAINED, GuidedTreatment

if TYPE_CHECKING:
    from trueline.data.preferences import Demonstration
    from trueline.interventions.decoding import Combination


@dataclass(frozen=True, kw_only=True)
class DExperts(GuidedTreatment):
    """Adds ``alpha`` times (expert − anti-expert) to the target's logits; the paper's α is 2.

    ``expert`` and ``anti_expert`` are models, or "trained" on the chosen and on the rejected answers of
    ``resources.preferences``.
    """

    alpha: float = 2.0
    anti_expert: str = TRAINED

    name: ClassVar[str] = "dexperts"
    learns_from: ClassVar[str] = "preferences"

    def __post_init__(self) -> None:
        if not math.isfinite(self.alpha):
            raise InputError(f"dexperts with alpha {self.alpha} is not allowed: give a finite number.")

    @property
    def roles(self) -> Mapping[str, str]:
        """Expert and anti-expert."""
        return {"expert": self.expert, "anti_expert": self.anti_expert}

    def combination(self) -> "Combination":
        """log softmax(z + α(z⁺ − z⁻))."""
        from trueline.interventions.decoding import DExpertsCombination

        return DExpertsCombination(alpha=self.alpha)

    def shown(self, resources: Resources, role: str) -> "Sequence[Demonstration]":
        """The chosen answers for the expert, the rejected ones for the anti-expert."""
        from trueline.data.preferences import Demonstration

        side = "chosen" if role == "expert" else "rejected"
        pairs = resources.preferences or ()
        return [Demonstration(prompt=p.prompt, answer=getattr(p, side), meta=p.meta) for p in pairs]
