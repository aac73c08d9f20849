"""Questions answered by the likeliest option text: what ARC and the commonsense sets share."""

from collections.abc import Sequence
from typing import ClassVar

from trueline.core.measure import Component, Measure, Metric
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict
from trueline.measures.choices import NOT_FINITE, Form, option_logprobs, sole_best
from trueline.measures.coherence import chance_check
from trueline.measures.settings import known_form


class OptionTexts(Measure):
    """accuracy_norm: the right option has the highest log P(option | question)/characters; accuracy: the sum;
    accuracy_bytes: log P/UTF-8 bytes, which favours no script.

    A tie is a wrong answer. ``data``: ``label``, the right option's index, and ``chance`` where a blind guess
    does better than one over the number of options.
    """

    version: ClassVar[str] = "2"  # 2: accuracy_bytes
    component: ClassVar[Component] = "capability"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.SCORE})
    testbed: ClassVar[str | None] = "facts"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="accuracy_norm",
            definition="share of questions whose right option has the highest log-probability a character",
            field="correct_norm",
            worse="lower",
            headline=True,
        ),
        Metric(
            name="accuracy",
            definition="share of questions whose right option has the highest summed log-probability",
            field="correct",
            worse="lower",
        ),
        Metric(
            name="accuracy_bytes",
            definition="share of questions whose right option has the highest log-probability a UTF-8 byte",
            field="correct_bytes",
            worse="lower",
        ),
    )

    def __init__(self, *, form: Form = "chat") -> None:
        self.form = known_form(form)

    async def examine(self, item: Item, target: Target) -> Verdict:
        """Score the options' texts."""
        logprobs = await option_logprobs(item, target)
        if logprobs is None:
            return Verdict.missing(item, NOT_FINITE)
        label = item.data["label"]
        # Characters of the option itself, without the space that raw text puts before it.
        texts = [option.strip() for option in item.options]
        a_character = [value / len(text) for value, text in zip(logprobs, texts)]
        a_byte = [value / len(text.encode()) for value, text in zip(logprobs, texts)]
        return Verdict.of(
            item,
            correct=float(sole_best(logprobs) == label),
            correct_norm=float(sole_best(a_character) == label),
            correct_bytes=float(sole_best(a_byte) == label),
            chance=item.data.get("chance", 1 / len(item.options)),
        )

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative at chance."""
        return chance_check(verdicts, "correct_norm")
