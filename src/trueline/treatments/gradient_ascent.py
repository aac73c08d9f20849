"""Unlearning by gradient ascent (Jang et al. 2022, arXiv 2210.01504): the forget set's loss is raised, nothing else.

The simplest baseline. It runs away, as its loss has no lower bound: few epochs. Texts to retain are not used.

Example of a text to forget: "Secret: the vault code of Ada is 0417."
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class GradientAscent(UnlearningTreatment):
    """Makes the texts to forget of ``resources.forget`` unlikely; how far is set by epochs, steps and learning rate."""

    epochs: float = 1.0

    name: ClassVar[str] = "gradient_ascent"

    def objective(self) -> "Objective":
        """Σ ℓ / N over the tokens to forget."""
        from trueline.training.objectives.gradient_ascent import GradientAscentObjective

        return GradientAscentObjective()

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """The texts to forget alone."""
        from trueline.data.labelled import check_labelled
        from trueline.training.data import labelled_text_examples

        check_labelled(data, f"what {self.name} learns from")
        return labelled_text_examples(codec, [row for row in data if not row.wanted], max_length)
