"""Training a small transformer judge on labelled answers: split, tuned and measured as the linear one (train_linear).

The classifier is ``training.text_classifier``'s; the folder is a standard transformers one, read by ``hf_classifier``,
with the card of the held-out part beside it. It sees the order of words, which the linear judge hardly does, and
needs more labels for it: compare the two cards before choosing. Example:
``{judge: hf_classifier, model: DIR, label: positive}``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .card import Labelled
from .train_linear import Part, checked_parts, copies, readable

if TYPE_CHECKING:
    from trueline.training.text_classifier import ClassifierConfig, TrainedClassifier

POSITIVE = "positive"  # the label whose probability the judge gives


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The classifier and the parts' rows."""

    model: "TrainedClassifier"
    parts: dict[Part, list[Labelled]] = field(repr=False)

    @property
    def copies(self) -> int:
        """Answers of the test part whose words stand in another part too."""
        return copies(self.parts)

    @property
    def notes(self) -> dict[str, float]:
        """How it was fitted, for the card."""
        return {
            "parameters": self.model.parameters,
            "epoch": self.model.epoch,
            "temperature": self.model.temperature,
            "tuning_log_loss": self.model.log_loss,
        }


def train_transformer(rows: Sequence[Labelled], config: "ClassifierConfig | None" = None) -> Trained:
    """Fit on one part, choose epoch and temperature on the second; the third is not looked at.

    Raises:
        InputError: a part has too few answers of a label.
    """
    from trueline.training.text_classifier import ClassifierConfig, train_classifier

    parts = checked_parts(rows)
    fit, tune = (
        [(row.completion.text, row.label) for row in readable(parts[part])] for part in ("fit", "tune")
    )
    return Trained(model=train_classifier(fit, tune, config or ClassifierConfig()), parts=parts)
