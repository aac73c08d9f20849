"""ARC: grade-school science."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.measure import Component, Measure, Metric
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict
from trueline.data.loaders import load_rows
from trueline.measures.choices import NOT_FINITE, Form, option_logprobs, posed, sole_best, written
from trueline.measures.coherence import chance_check
from trueline.measures.settings import known_form

SETS = ("ARC-Challenge", "ARC-Easy")
_INSTRUCTION = re.compile(
    r"Please choose the correct answer to the question: (?P<question>.*?)\n\n"
    r"(?P<options>Answer1: .*)\n\nAnswer format: (?P<format>.*)",
    re.DOTALL,
)
_OPTION = re.compile(r"\s*Answer\d: ")


class ARC(Measure):
    """ARC (Clark et al. 2018, arXiv 1803.05457): science questions answered by the likeliest option text.

    accuracy_norm = share of questions whose right option has the highest log P(option | question)/characters,
    the convention of the common harness's acc_norm; accuracy takes the plain sum (its acc). A tie is a wrong
    answer.

    Data: ``llm_adapters_commonsense`` (ARC itself CC BY-SA 4.0), ARC-Challenge (1,172) and ARC-Easy (2,376)
    test questions with 3 to 5 options; question and options are read out of that set's instruction text and
    its frame is dropped. Groups ``challenge`` and ``easy``. Example: 'Which piece of safety equipment is used
    to keep mold spores from entering the respiratory system?', options 'safety goggles', 'breathing mask',
    'rubber gloves', 'lead apron'.
    """

    name: ClassVar[str] = "arc"
    title: ClassVar[str] = "Science questions (ARC)"
    component: ClassVar[Component] = "capability"
    paper: ClassVar[str] = "1803.05457"
    data: ClassVar[str] = "llm_adapters_commonsense"
    caution: ClassVar[str] = (
        "Only differences between targets on the same items mean something: the value depends on the "
        "prompt's form and on length normalisation, and easy and challenge questions are mixed unless read "
        "by group."
    )
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
    )

    def __init__(self, *, form: Form = "chat") -> None:
        self.form = known_form(form)

    def items(self) -> Sequence[Item]:
        """Challenge, then easy; ``data``: ``label``."""
        return [
            self._item(name, number, row)
            for name in SETS
            for number, row in enumerate(load_rows("llm_adapters_commonsense", f"{name}/test.json"))
        ]

    def _item(self, name: str, number: int, row: dict[str, Any]) -> Item:
        question, options, label = parse(row)
        prompt = question if self.form == "chat" else f"Question: {question}\nAnswer:"
        return Item(
            id=f"arc/{name}/{number}",
            prompt=posed(prompt, self.form),
            options=written(options, self.form),
            group=name.removeprefix("ARC-").lower(),
            data={"label": label},
        )

    async def examine(self, item: Item, target: Target) -> Verdict:
        """Score the options' texts."""
        logprobs = await option_logprobs(item, target)
        if logprobs is None:
            return Verdict.missing(item, NOT_FINITE)
        label = item.data["label"]
        # Characters of the option itself, without the space that raw text puts before it.
        a_character = [value / len(option.strip()) for value, option in zip(logprobs, item.options)]
        return Verdict.of(
            item,
            correct=float(sole_best(logprobs) == label),
            correct_norm=float(sole_best(a_character) == label),
            chance=1 / len(item.options),
        )

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative at chance."""
        return chance_check(verdicts, "correct_norm")


def parse(row: dict[str, Any]) -> tuple[str, tuple[str, ...], int]:
    """Question, options and the right option's index from an instruction row; raises InputError."""
    found = _INSTRUCTION.fullmatch(row["instruction"])
    if found is None:
        raise InputError(
            f"not an ARC instruction: {row['instruction'][:80]!r}; fetch llm_adapters_commonsense again."
        )
    options = tuple(part.strip() for part in _OPTION.split(found["options"])[1:])
    answers = found["format"].strip().split("/")
    if len(options) != len(answers) or row["answer"] not in answers or not all(options):
        raise InputError(f"ARC options do not fit the answer format: {row['instruction'][:80]!r}.")
    return found["question"].strip(), options, answers.index(row["answer"])
