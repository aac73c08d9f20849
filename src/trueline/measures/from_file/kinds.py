"""The measures that a file can be. Each is a built-in measure's body with the user's items.

A class is made for each file, since a measure's name, metrics and caution belong to its class. What a report
needs of it (``record``) goes into the study's plan, so that results are read without the files.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import file_digest, fingerprint
from trueline.core.measure import Component, Measure, Metric
from trueline.core.messages import Sampling
from trueline.core.protocols import Capability, Judge, Target
from trueline.core.verdicts import Item, Verdict
from trueline.measures.alignment.refusals import Refusals
from trueline.measures.answers import AT_LEAST, NoAnswer, judged, only_answer
from trueline.measures.capability.option_texts import OptionTexts
from trueline.measures.choices import Form
from trueline.measures.coherence import chance_check
from trueline.measures.controls import CONTROL, control_items
from trueline.measures.prompt_safety.requests import Requests
from trueline.measures.settings import at_least

from .definition import Definition, Kind, read_definition
from .items import read_items
from .matching import holds, same

SEPARATORS = re.compile(r"\W+")
FLOOR_OF_OPEN_ANSWERS = 0.0  # a blind guess of a text


class FileMeasure(Measure):
    """What all kinds share: items from the user's file, and a fingerprint that covers its bytes."""

    definition: ClassVar[Definition]
    data_path: ClassVar[Path]
    data_sha256: ClassVar[str]
    default_component: ClassVar[Component] = "capability"
    judged_with: ClassVar[Mapping[str, Any]] = {}

    def items(self) -> Sequence[Item]:
        """One item a row of the user's file."""
        return read_items(self.definition, self.data_path, getattr(self, "form", self.definition.form))

    def fingerprint(self) -> str:
        """Changes with the file's bytes, what it is said to hold, and the settings."""
        return fingerprint([super().fingerprint(), self.definition.fingerprint(), self.data_sha256])

    @classmethod
    def record(cls) -> dict[str, Any]:
        """JSON from which ``measure_of_record`` makes the class again, without the files."""
        return {
            "definition": cls.definition.model_dump(mode="json", exclude_unset=True),
            "data": str(cls.data_path),
            "data_sha256": cls.data_sha256,
            "chance": next((m.floor for m in cls.metrics if m.headline), None),
        }


class FileChoices(FileMeasure, OptionTexts):
    """Multiple choice by log-likelihood, as ARC and the commonsense sets are asked."""

    testbed: ClassVar[str | None] = None

    def __init__(self, *, form: Form | None = None) -> None:
        super().__init__(form=form or self.definition.form)


class FileAnswers(FileMeasure):
    """One greedy answer against the right one: equal to it, or holding it as whole words.

    Both are compared in lower case, with single spaces, and without punctuation at their ends. What is not
    said within ``max_tokens`` is wrong. A blocked or refused answer is wrong; an empty one is no verdict.
    """

    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="accuracy",
            definition="share of answers that are the right one",
            field="correct",
            worse="lower",
            floor=FLOOR_OF_OPEN_ANSWERS,
            headline=True,
        ),
    )

    def __init__(self, *, max_tokens: int | None = None) -> None:
        self.max_tokens = max_tokens if max_tokens is not None else self.definition.max_tokens
        at_least(1, max_tokens=self.max_tokens)

    async def examine(self, item: Item, target: Target) -> Verdict:
        """One greedy answer."""
        completions = await target.generate(item.prompt, Sampling(max_tokens=self.max_tokens))
        try:
            text = only_answer(completions)
        except NoAnswer as error:
            return Verdict.missing(item, str(error))
        fits = holds if self.definition.kind == "contained_answer" else same
        right = any(fits(text, answer) for answer in item.data["answers"])
        return Verdict.of(item, correct=float(right), chance=FLOOR_OF_OPEN_ANSWERS, note=text[:300])

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative where not one answer was right."""
        return chance_check(verdicts, "correct")

    def describe_cost(self, item: Item) -> tuple[int, int]:
        """One answer."""
        return (1, self.max_tokens)


class FileOverRefusals(FileMeasure, Refusals):
    """Requests that should be answered, as XSTest asks them; control items come with them."""

    testbed: ClassVar[str | None] = None
    default_component: ClassVar[Component] = "alignment"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="over_refusal",
            definition="share of requests refused, wholly or in part, that should be answered",
            field="refused",
            headline=True,
            judged_by="refusal",
            judged_as="positive",
        ),
        next(m for m in Requests.metrics if m.groups == (CONTROL,)),
    )

    def __init__(self, *, refusal: Judge | None = None, max_tokens: int | None = None) -> None:
        super().__init__(
            refusal=refusal, max_tokens=self.definition.max_tokens if max_tokens is None else max_tokens
        )

    def items(self) -> Sequence[Item]:
        """The user's rows, then the control items."""
        return [*super().items(), *control_items(self.name)]


class FileRequests(FileMeasure, Requests):
    """Requests that should be refused, as AdvBench asks them: attackable, with control items."""

    testbed: ClassVar[str | None] = None
    default_component: ClassVar[Component] = "prompt safety"

    def __init__(
        self, *, refusal: Judge | None = None, harm: Judge | None = None, max_tokens: int | None = None
    ) -> None:
        tokens = self.definition.max_tokens if max_tokens is None else max_tokens
        super().__init__(refusal=refusal, harm=harm, max_tokens=tokens)

    def items(self) -> Sequence[Item]:
        """The user's rows, then the control items."""
        return [*super().items(), *control_items(self.name)]


class FileJudged(FileMeasure):
    """What a judge says of one greedy answer: the share that it flags (value ≥ 0.5), and its mean value."""

    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})
    judges: ClassVar[tuple[str, ...]] = ("judge",)
    default_component: ClassVar[Component] = "alignment"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="flagged",
            definition="share of answers to which the judge gives one half or more",
            headline=True,
            judged_by="judge",
            judged_as="positive",
        ),
        Metric(name="mean_value", definition="mean of the judge's values", kind="mean", judged_by="judge"),
    )

    def __init__(self, *, judge: Judge | None = None, max_tokens: int | None = None) -> None:
        if judge is None:
            raise InputError(f"the measure {self.name!r} needs a judge; name one in its file.")
        self.judge = judge
        self.max_tokens = max_tokens if max_tokens is not None else self.definition.max_tokens
        at_least(1, max_tokens=self.max_tokens)

    async def examine(self, item: Item, target: Target) -> Verdict:
        """One greedy answer, judged; a judge that fails gives no verdict."""
        completions = await target.generate(item.prompt, Sampling(max_tokens=self.max_tokens))
        if not completions:
            return Verdict.missing(item, "the target returned nothing")
        try:
            value = await judged(self.judge, item, completions[0])
        except NoAnswer as error:
            return Verdict.missing(item, str(error))
        return Verdict.of(
            item, flagged=float(value >= AT_LEAST), mean_value=value, note=completions[0].text[:300]
        )

    def describe_cost(self, item: Item) -> tuple[int, int]:
        """One answer."""
        return (1, self.max_tokens)


def measure_of_file(path: Path) -> type[FileMeasure]:
    """The measure that a file defines; its rows are read once now, so that a fault is known before anything is asked.

    Raises:
        InputError: the file or its data cannot be used.
    """
    definition = read_definition(path)
    data = path.parent / definition.data
    items = read_items(definition, data, definition.form)
    sizes = {len(item.options) for item in items if item.options}
    chance = 1 / sizes.pop() if len(sizes) == 1 else None
    return _made(definition, data, file_digest(data), chance)


def measure_of_record(record: Mapping[str, Any]) -> type[FileMeasure]:
    """The measure that a stored plan describes, for reading its results."""
    definition = Definition.model_validate(record["definition"])
    return _made(definition, Path(record["data"]), record["data_sha256"], record["chance"])


def _made(definition: Definition, data: Path, sha256: str, chance: float | None) -> type[FileMeasure]:
    base = _body(definition)
    needs = base.needs | ({Capability.RAW_TEXT} if definition.form == "raw" else set())
    attributes = {
        "__doc__": f"{definition.title or definition.name}: a measure of the user's own. {definition.caution}",
        "name": definition.name,
        "version": f"{definition.version}+{sha256[:12]}",
        "title": definition.title or definition.name.replace("_", " ").capitalize(),
        "component": definition.component or base.default_component,
        "paper": definition.source,
        "data": f"{data.name} (sha256 {sha256[:12]})",
        "caution": definition.caution,
        "needs": frozenset(needs),
        "metrics": tuple(_metrics(base, definition, chance)),
        "definition": definition,
        "data_path": data,
        "data_sha256": sha256,
        "judged_with": _judged_with(definition),
    }
    return type(base.__name__, (base,), attributes)


def _body(definition: Definition) -> type[FileMeasure]:
    if definition.kind == "refusal":
        return FileRequests if definition.refusal == "wanted" else FileOverRefusals
    bodies: Mapping[Kind, type[FileMeasure]] = {
        "multiple_choice": FileChoices,
        "exact_answer": FileAnswers,
        "contained_answer": FileAnswers,
        "judge": FileJudged,
    }
    return bodies[definition.kind]


def _judged_with(definition: Definition) -> dict[str, Any]:
    parameter = "refusal" if definition.kind == "refusal" else "judge"
    return {} if definition.judge is None else {parameter: definition.judge}


def _metrics(base: type[FileMeasure], definition: Definition, chance: float | None) -> list[Metric]:
    """The body's metrics, with the direction and chance floor of this file, and again for each category."""
    metrics = []
    for metric in base.metrics:
        if definition.worse is not None:
            metric = replace(metric, worse=definition.worse)
        if definition.kind == "multiple_choice":
            metric = replace(metric, floor=chance)
        if definition.kind == "contained_answer":
            within = f"share of answers that hold the right one within {definition.max_tokens} tokens"
            metric = replace(metric, definition=within)
        metrics.append(metric)
    for category in definition.categories:
        for metric in [m for m in metrics if m.headline]:
            name = f"{metric.name}_{SEPARATORS.sub('_', category.lower()).strip('_')}"
            words = f"{metric.definition} ({category})"
            field = metric.field or metric.name
            metrics.append(
                replace(metric, name=name, definition=words, field=field, groups=(category,), headline=False)
            )
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"the measure {definition.name!r} has two categories that are both called {name!r} as metrics; "
                "rename one."
            )
    return metrics
