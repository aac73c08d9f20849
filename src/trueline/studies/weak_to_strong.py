"""Weak to strong: what a strong model learns from a weaker one's labels (Burns et al. 2023, arXiv 2312.09390).

Labelled questions are parted in three. The weak model is fine-tuned on the first part's true answers and labels the
second. The strong model is fine-tuned on these labels (*student*), and another copy on the second part's true answers
(*ceiling*). All are asked the third. Performance gap recovered:

    PGR = (student − weak)/(ceiling − weak)

0: no better than its supervisor; 1: as good as with the truth. Naive fine-tuning, without the paper's confidence loss.
One run says something of these models on these questions; of the method only several seeds do.

Example::

    found = weak_to_strong(weak, strong, parts_of(rows, seed=0), workdir=Path("out"))
    print(found.pgr.value, found.pgr.low, found.pgr.high)
"""

import asyncio
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.fingerprint import canonical
from trueline.core.measure import Floats, Metric
from trueline.core.messages import Prompt, Sampling, as_json
from trueline.core.protocols import Resources, Target
from trueline.core.rouge import rouge_words
from trueline.core.statistics import change, estimate
from trueline.core.verdicts import Estimate, Verdict
from trueline.data.preferences import Demonstration

from .progress import Progress, Silent

FEWEST = 10  # rows of a part
MAX_TOKENS = 32
Right = Callable[[Prompt, str, str], bool]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Labelled questions: the supervisor's, the student's, and those that all are tested on."""

    supervisor: Sequence[Demonstration]
    student: Sequence[Demonstration]
    test: Sequence[Demonstration]


@dataclass(frozen=True, kw_only=True)
class WeakToStrong:
    """Accuracy of each model on the test part, how often the weak labels were right, and the gap recovered.

    ``untrained`` is the strong model before any training. ``pgr`` has no value, and its note says why, where the
    ceiling does not surely exceed the weak model."""

    weak: Estimate
    untrained: Estimate
    student: Estimate
    ceiling: Estimate
    pgr: Estimate
    labels_right: float
    labels_lost: int
    rows: Mapping[str, int]

    @property
    def knew(self) -> bool:
        """Whether there is a value although the strong model was no worse before training than the student."""
        before, after = self.untrained.value, self.student.value
        return self.pgr.value is not None and before is not None and after is not None and before >= after


def pgr(columns: Mapping[str, Floats], weights: Floats) -> float:
    """(student − weak)/(ceiling − weak) of weighted means; NaN where ceiling and weak are equal."""
    weak, student, ceiling = (float(weights @ columns[name]) for name in ("weak", "student", "ceiling"))
    return (student - weak) / (ceiling - weak) if ceiling != weak else math.nan


def says_the_same(prompt: Prompt, gold: str, answer: str) -> bool:
    """Whether an answer's words are the gold answer's, case and punctuation aside."""
    return bool(rouge_words(gold)) and rouge_words(answer) == rouge_words(gold)


def parts_of(
    rows: Sequence[Demonstration], *, seed: int, test: Sequence[Demonstration] | None = None
) -> Parts:
    """Thirds at random, or halves where the test part is given; equal prompts stay in one part.

    Raises InputError when a part would have fewer than ten rows."""
    by_prompt: dict[str, list[Demonstration]] = {}
    for row in rows:
        by_prompt.setdefault(canonical(as_json(row.prompt)), []).append(row)
    groups = list(by_prompt.values())
    random.Random(seed).shuffle(groups)
    count = 3 if test is None else 2
    cut = [[row for group in groups[k::count] for row in group] for k in range(count)]
    if test is not None:
        tested = {canonical(as_json(row.prompt)) for row in test}
        both = tested & by_prompt.keys()
        if both:
            raise InputError(f"{len(both)} prompts stand in training and test data: take them out of one.")
        cut.append(list(test))
    if min(map(len, cut)) < FEWEST:
        raise InputError(
            f"{len(rows)} labelled questions give parts of {', '.join(str(len(part)) for part in cut)}; each "
            f"needs {FEWEST} or more."
        )
    return Parts(supervisor=cut[0], student=cut[1], test=cut[2])


def weak_to_strong(
    weak: Target,
    strong: Target,
    parts: Parts,
    *,
    workdir: Path,
    right: Right = says_the_same,
    dials: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> WeakToStrong:
    """Train the three models under ``workdir`` (complete ones are used again) and ask them the test part.

    ``dials`` are those of supervised fine-tuning. Raises InputError when a model cannot be trained, or the weak
    one leaves too few labels."""
    sft = make("treatment", "sft", dict(dials or {}))
    shown = progress or Silent()

    def trained(target: Target, rows: Sequence[Demonstration], name: str) -> Target:
        with shown.bar(name, 1) as bar:
            resources = Resources(
                workdir=workdir / name, demonstrations=tuple(rows), seed=seed, progress=bar.update
            )
            found: Target = sft.apply(target, resources)
            return found

    supervisor = trained(weak, parts.supervisor, "supervisor")
    answers = _answers(supervisor, parts.student)
    labelled = [replace(row, answer=text) for row, text in zip(parts.student, answers) if text.strip()]
    if len(labelled) < FEWEST:
        raise InputError(
            f"the weak model labelled {len(labelled)} of {len(parts.student)} questions: nothing to learn from."
        )
    student = trained(strong, labelled, "student")
    ceiling = trained(strong, parts.student, "ceiling")
    models = {"weak": supervisor, "untrained": strong, "student": student, "ceiling": ceiling}
    said = {name: _answers(target, parts.test) for name, target in models.items()}
    verdicts = [
        Verdict(
            item=str(number),
            cluster=canonical(as_json(row.prompt)),
            values={name: float(right(row.prompt, row.answer, said[name][number])) for name in models},
        )
        for number, row in enumerate(parts.test)
    ]
    agree = [right(row.prompt, row.answer, text) for row, text in zip(parts.student, answers) if text.strip()]
    return WeakToStrong(
        **{name: estimate(_accuracy(name), verdicts) for name in models},
        pgr=_recovered(verdicts),
        labels_right=sum(agree) / len(agree),
        labels_lost=len(parts.student) - len(labelled),
        rows={name: len(getattr(parts, name)) for name in ("supervisor", "student", "test")},
    )


def _accuracy(name: str) -> Metric:
    return Metric(name=name, definition="share of right answers", worse="lower")


def _recovered(verdicts: Sequence[Verdict]) -> Estimate:
    """PGR, or no value where there is no gap to recover."""
    metric = Metric(
        name="pgr",
        definition="(student − weak)/(ceiling − weak)",
        kind="statistic",
        statistic=pgr,
        bounds=(-math.inf, math.inf),
        worse="lower",
    )
    sides = [
        [replace(verdict, values={"right": verdict.values[name]}) for verdict in verdicts]
        for name in ("weak", "ceiling")
    ]
    gap = change(Metric(name="right", definition="", worse="lower"), *sides)
    if gap.value is None or gap.low is None or gap.low <= 0:
        note = "the ceiling does not surely exceed the weak model: there is no gap to recover"
        return Estimate(value=None, low=None, high=None, interval="none", n=len(verdicts), note=note)
    return estimate(metric, verdicts)


def _answers(target: Target, rows: Sequence[Demonstration]) -> list[str]:
    """The target's greedy answers; nothing where it gave none."""

    async def ask() -> list[str]:
        sampling = Sampling(max_tokens=MAX_TOKENS)
        found = await asyncio.gather(*(target.generate(row.prompt, sampling) for row in rows))
        return [completions[0].text if completions else "" for completions in found]

    return asyncio.run(ask())
