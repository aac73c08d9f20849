"""Does one text follow from another? Entailment for measures that compare answers by what they say.

Four kinds: word overlap (``LexicalEntailment``), another model that is asked (``ModelEntailment``), a local
classifier as in the papers that use entailment (``entailment_classifier``), and on the testbed the world itself.
Results name the one that was taken.
"""

import math
import re
from dataclasses import dataclass
from typing import Protocol

from trueline.core.errors import NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import chat
from trueline.core.protocols import Capability, Target

_EMPTY = """
a an and are as at be been being but by did do does for from had has have he her his i in is it its my of on or our
she so than that the their them there they this to was we were which who whom whose will with would you your
"""
_NEGATIONS = "no not never none nobody nothing neither nor without cannot"
EMPTY_WORDS = frozenset(_EMPTY.split())
NEGATIONS = frozenset(_NEGATIONS.split())
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Probabilities that a premise entails a hypothesis, contradicts it, or neither; they sum to 1."""

    entailment: float
    contradiction: float
    neutral: float = 0.0

    def __post_init__(self) -> None:
        total = self.entailment + self.contradiction + self.neutral
        assert math.isclose(total, 1.0, abs_tol=1e-6), f"an entailment relation sums to {total}"

    @property
    def entails(self) -> bool:
        """Whether entailment is the likeliest of the three."""
        return self.entailment > max(self.contradiction, self.neutral)


class Entailment(Protocol):
    """Relates two texts, answers to the same question."""

    @property
    def name(self) -> str: ...

    def fingerprint(self) -> str: ...

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        """What the premise says of the hypothesis; both answer ``question``."""


class LexicalEntailment:
    """Word overlap: no understanding. Entailment = share of the hypothesis's content words, those of the question
    left out, that the premise holds; what is missing counts as contradiction, as does a negation on one side.

    It is right on short answers that repeat a name or a number, and wrong on paraphrase.
    """

    name = "lexical entailment"

    def fingerprint(self) -> str:
        """Changes with the word lists."""
        return fingerprint({"judge": self.name, "empty": EMPTY_WORDS, "negations": NEGATIONS})

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        """By overlap of content words; words of the question tell nothing of the answer."""
        given = _content(question)
        said, claimed = _content(premise), _content(hypothesis)
        new = [word for word in claimed if word not in given] or claimed
        if not new:
            same = float(not said)
            return Relation(entailment=same, contradiction=0.0, neutral=1.0 - same)
        held = sum(word in said for word in new) / len(new)
        if _negated(premise) != _negated(hypothesis):
            held = 0.0
        return Relation(entailment=held, contradiction=1.0 - held)


def adds_content(question: str, answer: str) -> bool:
    """Whether an answer holds a content word that the question lacks: else overlap cannot tell it from an echo."""
    given = _content(question)
    return any(word not in given for word in _content(answer))


class ModelEntailment:
    """Another model is asked: probabilities of Yes, No and Neither against each other."""

    def __init__(self, target: Target) -> None:
        if Capability.SCORE not in target.capabilities:
            raise NotMeasurableError(
                f"{target.name} gives no log-probabilities, so it cannot judge entailment."
            )
        self.target = target
        self.name = f"entailment by {target.name}"

    def fingerprint(self) -> str:
        """Changes with the model."""
        return fingerprint({"judge": "model entailment", "target": self.target.fingerprint()})

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        """One scoring of three options."""
        ask = (
            f"Question: {question}\nFirst answer: {premise}\nSecond answer: {hypothesis}\n"
            "If the first answer is true, must the second be true? Answer Yes, No or Neither."
        )
        scores = await self.target.score(chat(ask), ("Yes", "No", "Neither"))
        peak = max(score.logprob for score in scores)
        if not math.isfinite(peak):
            raise NotMeasurableError(f"{self.name}: the model gave no finite log-likelihood.")
        yes, no, neither = (math.exp(score.logprob - peak) for score in scores)
        total = yes + no + neither
        return Relation(entailment=yes / total, contradiction=no / total, neutral=neither / total)


def _content(text: str) -> list[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return list(dict.fromkeys(w for w in words if w not in EMPTY_WORDS and not _is_negation(w)))


def _negated(text: str) -> bool:
    return sum(_is_negation(word.casefold()) for word in _WORD.findall(text)) % 2 == 1


def _is_negation(word: str) -> bool:
    return word in NEGATIONS or word.endswith(("n't", "n’t"))
