"""Entailment by a local classifier of natural language inference, as in semantic entropy and SelfCheckGPT-NLI.

Premise and hypothesis are read as a pair. As in Kuhn et al. (arXiv 2302.09664) both are preceded by the question;
``question: false`` leaves it out, as SelfCheckGPT does (2303.08896). The papers' classifiers are DeBERTa models
fine-tuned on MNLI; any folder or hub name whose labels name entailment and contradiction will do.
"""

import math

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import fingerprint

from .entailment import Relation

LABELS = ("entailment", "contradiction", "neutral")


class ClassifierEntailment:
    """Probabilities of entailment, contradiction and neutral by a sequence-classification model."""

    def __init__(self, classifier: str, *, question: bool = True) -> None:
        from trueline.models.classifier import SequenceClassifier

        self.classifier, self.question = SequenceClassifier(classifier), question
        named = {label.strip().lower(): place for place, label in enumerate(self.classifier.labels)}
        lacking = [label for label in LABELS[:2] if label not in named]
        if lacking:
            raise InputError(
                f"the classifier {classifier} has no label {lacking[0]!r} but {', '.join(self.classifier.labels)}; "
                "give one of natural language inference, whose id2label names entailment and contradiction."
            )
        self._places = [named.get(label) for label in LABELS]
        self.name = f"entailment by the classifier {classifier.rstrip('/').rsplit('/', 1)[-1]}"

    def fingerprint(self) -> str:
        """Changes with the model's files and with what is read."""
        return fingerprint(
            {"judge": "classifier entailment", "model": self.classifier.digest, "question": self.question}
        )

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        """One reading of the pair; raises NotMeasurableError where it is too long or the model gives no number."""
        from trueline.models.classifier import TooLongError

        pair = (f"{question} {text}" if self.question else text for text in (premise, hypothesis))
        try:
            found = await self.classifier.probabilities(*pair)
        except TooLongError as error:
            raise NotMeasurableError(f"too long for {self.name}: {error}") from error
        values = [0.0 if place is None else found[place] for place in self._places]
        total = sum(values)
        if not math.isfinite(total) or total <= 0:
            raise NotMeasurableError(f"{self.name} gave no number")
        entailment, contradiction, neutral = (value / total for value in values)
        return Relation(entailment=entailment, contradiction=contradiction, neutral=neutral)
