"""Any transformers sequence-classification model as a judge (no paper; each model has its own card and licence).

Value: the probability of one of its labels. What that label means, and how often the model errs on answers
like yours, only labelled answers tell: ``trueline judge evaluate hf_classifier --set model=FOLDER --set
label=toxic --labels FILE``; a folder of ``trueline judge train --kind transformer`` brings its card.
Example: ``{judge: hf_classifier, model: FOLDER, label: toxic}``.
"""

import math
from pathlib import Path

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, last_user
from trueline.core.protocols import Judgement
from trueline.core.verdicts import Item

from .card import CARD_FILE, JudgeCard, read_card


class TransformersClassifier:
    """The probability of a label by a classifier from a folder or hub name; no verdict where it gives none.

    ``label`` is the label's name or place. ``reads`` is the answer alone, or the exchange: the user's last words
    and the answer as a pair, for models trained on pairs.
    """

    name = "hf-classifier"

    def __init__(self, *, model: str, label: int | str, reads: str = "answer") -> None:
        from trueline.models.classifier import SequenceClassifier

        if reads not in ("answer", "exchange"):
            raise InputError(f"reads {reads!r} is unknown; a classifier reads the answer or the exchange.")
        self.classifier = SequenceClassifier(model)
        self.folder = Path(model).expanduser()
        self.label, self.reads = self.classifier.index(label), reads

    def fingerprint(self) -> str:
        """Changes with the model's files, the label and what is read."""
        return fingerprint(
            {"judge": self.name, "model": self.classifier.digest, "label": self.label, "reads": self.reads}
        )

    def card(self) -> JudgeCard | None:
        """The card that ``trueline judge train`` left in the folder, if it is of exactly this judge."""
        path = self.folder / CARD_FILE
        if not path.is_file():
            return None
        card = read_card(path)
        return card if card.fingerprint == self.fingerprint() else None

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """The label's probability; none for an empty answer, one that is too long, or a value that is no number."""
        from trueline.models.classifier import TooLongError

        if not completion.text.strip():
            return Judgement(value=None, reason="empty answer")
        asked = (last_user(item.prompt),) if self.reads == "exchange" else ()
        try:
            value = (await self.classifier.probabilities(*asked, completion.text))[self.label]
        except TooLongError as error:
            return Judgement(value=None, reason=f"too long for the classifier: {error}")
        if not math.isfinite(value):
            return Judgement(value=None, reason="the classifier gave no number")
        return Judgement(value=value)
