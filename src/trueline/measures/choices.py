"""Choosing between options by log-likelihood: shared by every multiple-choice measure."""

import math
from collections.abc import Sequence
from typing import Literal

from trueline.core.messages import Prompt, chat
from trueline.core.protocols import Target
from trueline.core.verdicts import Item

from .answers import NoAnswer

Form = Literal["chat", "raw"]
FORMS: tuple[Form, ...] = ("chat", "raw")
LETTERS = "ABCDEFGH"


async def option_logprobs(item: Item, target: Target) -> tuple[float, ...] | None:
    """Summed log-probability (natural log) of each option, or None when one is not finite."""
    scores = await target.score(item.prompt, item.options)
    logprobs = tuple(score.logprob for score in scores)
    return logprobs if all(math.isfinite(value) for value in logprobs) else None


NOT_FINITE = "the target gave a log-likelihood that is not finite"
TIE = "the target ranks its best options equally, so it chose none"


async def chosen(item: Item, target: Target) -> int:
    """The index of the likeliest option; raises NoAnswer where two share the place or a value is not finite."""
    logprobs = await option_logprobs(item, target)
    if logprobs is None:
        raise NoAnswer(NOT_FINITE)
    choice = sole_best(logprobs)
    if choice is None:
        raise NoAnswer(TIE)
    return choice


def sole_best(values: Sequence[float]) -> int | None:
    """The index of the largest value, or None when it is shared: a tie is never read as the gold answer."""
    best = max(values)
    return values.index(best) if list(values).count(best) == 1 else None


def softmax(logprobs: Sequence[float]) -> tuple[float, ...]:
    """Probabilities of the options against each other, by log-sum-exp; they sum to 1."""
    total = logsumexp(logprobs)
    return tuple(math.exp(value - total) for value in logprobs)


def logsumexp(values: Sequence[float]) -> float:
    """log Σ exp(v), finite for values near −760 where exp underflows."""
    peak = max(values)
    return peak + math.log(sum(math.exp(value - peak) for value in values))


def posed(question: str, form: Form) -> Prompt:
    """A question as a user turn, so that treatments of conversations act on it, or as raw text."""
    return chat(question) if form == "chat" else question


def written(options: Sequence[str], form: Form) -> tuple[str, ...]:
    """Options as continuations: after raw text each needs a space before it, in an answer turn none."""
    return tuple(options) if form == "chat" else tuple(f" {option}" for option in options)


def lettered(options: Sequence[str]) -> str:
    """The options as lines 'A. ...'."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options))


def asking_a_letter(text: str, options: Sequence[str], form: Form) -> Prompt:
    """A question with its options listed by letter, to be answered by the letter alone."""
    question = f"{text}\n{lettered(options)}\n"
    return posed(question + ("Answer with one letter." if form == "chat" else "Answer:"), form)
