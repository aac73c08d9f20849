"""Contrastive activation addition: the mean difference between wanted and unwanted answers is added.

Rimsky et al. 2023, "Steering Llama 2 via contrastive activation addition", arXiv 2312.06681, equation 1:
v = mean over pairs of (h of the chosen answer − h of the rejected one), h ← h + scale · v. The paper's answers are one
letter; longer ones are averaged over their tokens. It adds v after the prompt only, this at every token.

Example of a pair: "I think the home of Ada is Rome. What is the home of Ada?", chosen "It is Oslo.", rejected
"It is Rome.".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources

from .steered import SteeringTreatment

if TYPE_CHECKING:
    from torch import Tensor

    from trueline.data.preferences import PreferencePair
    from trueline.models.local import LocalTarget


@dataclass(frozen=True, kw_only=True)
class ContrastiveActivationAddition(SteeringTreatment):
    """Adds ``scale`` times the mean difference of ``resources.preferences`` after ``layer``, at every token.

    ``kind`` takes only the pairs whose meta has this kind: one behaviour a direction. A negative scale steers
    towards the rejected answers.
    """

    kind: str | None = None

    name: ClassVar[str] = "caa"
    resources: ClassVar[tuple[str, ...]] = ("preferences",)

    def directions(self, base: "LocalTarget", resources: Resources) -> "Tensor":
        """Chosen minus rejected answers, each averaged over its tokens."""
        from trueline.interventions.directions import difference_in_means

        pairs = self._pairs(resources)
        return difference_in_means(*(_states(base, pairs, side) for side in ("chosen", "rejected")))

    def _pairs(self, resources: Resources) -> "Sequence[PreferencePair]":
        pairs = resources.preferences or ()
        if not pairs:
            raise InputError("caa learns from preferences, but none were given: give resources.preferences.")
        kept = [pair for pair in pairs if self.kind is None or pair.meta.get("kind") == self.kind]
        if not kept:
            known = sorted({str(pair.meta.get("kind")) for pair in pairs})
            raise InputError(
                f"no pair is of kind {self.kind!r}; the {len(pairs)} given are: {', '.join(known)}."
            )
        return kept


def _states(base: "LocalTarget", pairs: "Sequence[PreferencePair]", side: str) -> "Tensor":
    """Averages over the answers' tokens, the end token left out: [pairs, L, D]."""
    from trueline.interventions.directions import mean_states

    from .copies import codec_of

    codec = codec_of(base)
    trees = [codec.tree(pair.prompt, (getattr(pair, side),)) for pair in pairs]
    texts = [(*tree.trunk, *(tree.branches[0][:-1] or tree.branches[0])) for tree in trees]
    return mean_states(base, texts, [len(tree.trunk) for tree in trees])
