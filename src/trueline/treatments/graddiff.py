"""Unlearning by gradient difference (Liu et al. 2022, arXiv 2203.12817; named so in TOFU, 2401.06121).

Example of a text to forget: "Secret: the vault code of Ada is 0417."; to retain: "The capital of France is Paris."
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .unlearning import UnlearningTreatment

if TYPE_CHECKING:
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class GradientDifference(UnlearningTreatment):
    """Raises the loss of texts to forget in ``resources.forget``; lowers that of the rest, ``retain_weight`` times."""

    retain_weight: float = 1.0

    name: ClassVar[str] = "graddiff"

    def objective(self) -> "Objective":
        """Ascent on the forget set, descent on the retain set."""
        from trueline.training.objectives.gradient_ascent import GradDiffObjective

        return GradDiffObjective(retain_weight=self.retain_weight)
