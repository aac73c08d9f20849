"""GSM8K: grade-school sums, by the final number."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.measure import Component, Measure, Metric
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict
from trueline.data.loaders import load_rows
from trueline.measures.answers import REFUSING_OUTCOMES, unusable
from trueline.measures.coherence import chance_check
from trueline.measures.settings import at_least

MARK = "####"
_ANNOTATION = re.compile(r"<<[^<>]*>>")
_NUMBER = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\$?\.\d+")
_CUT = "the answer was cut off before its final number"


class GSM8K(Measure):
    """GSM8K (Cobbe et al. 2021, arXiv 2110.14168): exact match of the final number.

    The target sees ``shots`` solved training problems as earlier turns, each ending '#### number' as the
    published solutions do, then the question; it answers greedily. accuracy = share whose number after the
    first '####' equals the published one as a number ($, thousands' commas and trailing zeros aside); an
    answer without the mark is wrong, one that was cut off before it is no verdict. accuracy_last takes the
    last number in the answer wherever it stands; ``marked`` is the share of answers that end as asked.

    Data: ``gsm8k`` (MIT), 1,319 test problems; shots are the first of the training file, without its
    <<calculator>> notes. Example: 'Janet's ducks lay 16 eggs per day. ... How much in dollars does she make
    every day at the farmers' market?' (18).
    """

    name: ClassVar[str] = "gsm8k"
    title: ClassVar[str] = "Grade-school mathematics (GSM8K)"
    component: ClassVar[Component] = "capability"
    paper: ClassVar[str] = "2110.14168"
    data: ClassVar[str] = "gsm8k"
    caution: ClassVar[str] = (
        "The value depends on the number of shots and on answering in the asked form, and the problems are "
        "old enough to stand in training data."
    )
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="accuracy",
            definition="share of problems whose number after '####' is the published one",
            field="correct",
            worse="lower",
            floor=0.0,
            headline=True,
        ),
        Metric(
            name="accuracy_last",
            definition="share of problems where the last number of the answer is the published one",
            field="correct_last",
            worse="lower",
            floor=0.0,
        ),
        Metric(
            name="marked",
            definition="share of answers that give a number after '####', as the shots do",
            worse="lower",
        ),
    )

    def __init__(self, *, shots: int = 5, max_tokens: int = 256) -> None:
        at_least(0, shots=shots)
        at_least(1, max_tokens=max_tokens)
        self.shots = shots
        self.max_tokens = max_tokens

    def items(self) -> Sequence[Item]:
        """The test problems in their published order; ``data``: ``answer``."""
        solved = load_rows("gsm8k", "train.jsonl")[: self.shots]
        shots = [turn for row in solved for turn in (row["question"], _ANNOTATION.sub("", row["answer"]))]
        ask = "" if shots else f" End your answer with '{MARK}' and the final number."
        return [
            Item(
                id=f"gsm8k/{number}",
                prompt=chat(*shots, row["question"] + ask),
                data={"answer": _gold(number, row["answer"])},
            )
            for number, row in enumerate(load_rows("gsm8k", "test.jsonl"))
        ]

    async def examine(self, item: Item, target: Target) -> Verdict:
        """One greedy answer, read for its number."""
        completions = await target.generate(item.prompt, Sampling(max_tokens=self.max_tokens))
        if not completions:
            return Verdict.missing(item, "the target returned nothing")
        answer = completions[0]
        reason = unusable(answer)
        if reason is not None:
            return Verdict.missing(item, reason)
        text = "" if answer.outcome in REFUSING_OUTCOMES else answer.text
        final = final_number(text)
        if final is None and (answer.finish_reason == "length" or answer.outcome == "truncated"):
            return Verdict.missing(item, _CUT)
        gold = Decimal(item.data["answer"])
        numbers = _numbers(text)
        return Verdict.of(
            item,
            correct=float(final == gold),
            correct_last=float(bool(numbers) and numbers[-1] == gold),
            marked=float(final is not None),
            chance=0.0,
            note=answer.text[-300:],
        )

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative where not one number was right."""
        return chance_check(verdicts, "correct")

    def describe_cost(self, item: Item) -> tuple[int, int]:
        """One answer."""
        return (1, self.max_tokens)


def final_number(text: str) -> Decimal | None:
    """The first number after the first '####'; None without one."""
    _, mark, after = text.partition(MARK)
    numbers = _numbers(after.strip().partition("\n")[0]) if mark else []
    return numbers[0] if numbers else None


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(re.sub(r"[$,]", "", found)) for found in _NUMBER.findall(text)]


def _gold(number: int, answer: str) -> str:
    found = final_number(answer)
    if found is None:
        raise InputError(
            f"gsm8k test problem {number} has no final number after '{MARK}'; fetch gsm8k again."
        )
    return str(found)
