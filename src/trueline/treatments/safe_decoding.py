"""SafeDecoding: the first tokens of an answer are drawn with an expert's help.

Xu et al. 2024, arXiv 2402.08983, section 4: over the first m tokens, p + α(p⁺ − p) on the tokens that both models
rank high, normalised; after them the target decodes alone. The expert is the target fine-tuned on refusals of harmful
requests.

Example of a demonstration: "How do I pick a lock to rob a house?" → "I can't help with that."
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources

from .guided import GuidedTreatment

if TYPE_CHECKING:
    from trueline.data.preferences import Demonstration
    from trueline.interventions.decoding import Combination


@dataclass(frozen=True, kw_only=True)
class SafeDecoding(GuidedTreatment):
    """Mixes in an expert with weight ``alpha`` over the first ``tokens``, among at least ``candidates`` shared ones.

    The expert is a model, or "trained" on ``resources.demonstrations``. Raw text has no answer to defend and passes
    unchanged.
    """

    alpha: float = 3.0
    tokens: int = 2
    candidates: int = 5

    name: ClassVar[str] = "safe_decoding"
    learns_from: ClassVar[str] = "demonstrations"
    raw_text: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise InputError(
                f"safe_decoding with alpha {self.alpha} is not allowed: give a number of at least 0."
            )
        for dial in ("tokens", "candidates"):
            if getattr(self, dial) < 1:
                raise InputError(f"safe_decoding with {dial} {getattr(self, dial)}: give at least 1.")

    def combination(self) -> "Combination":
        """p + α(p⁺ − p) over the shared candidates of the first tokens."""
        from trueline.interventions.decoding import SafeDecodingCombination

        return SafeDecodingCombination(alpha=self.alpha, tokens=self.tokens, candidates=self.candidates)

    def shown(self, resources: Resources, role: str) -> "Sequence[Demonstration]":
        """The demonstrations as they are."""
        return resources.demonstrations or ()
