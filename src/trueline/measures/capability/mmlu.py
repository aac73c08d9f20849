"""MMLU: 57 subjects of multiple choice."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.measure import Component, Measure, Metric
from trueline.core.messages import Prompt, assistant, user
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict
from trueline.data.loaders import load_rows
from trueline.data.sources import source
from trueline.measures.choices import LETTERS, NOT_FINITE, Form, lettered, option_logprobs, sole_best, written
from trueline.measures.coherence import chance_check
from trueline.measures.settings import known_form

MAX_SHOTS = 5  # the dev split has five a subject


class MMLU(Measure):
    """MMLU (Hendrycks et al. 2020, arXiv 2009.03300): accuracy on questions from 57 subjects.

    The answer is the option letter of highest log-probability; a tie is a wrong answer; chance is 1/4.
    ``shots`` puts that many of the subject's five dev questions before each test question (0 by default; the
    paper uses 5). ``form='chat'`` asks in a user turn, so that treatments of conversations act on it;
    ``form='raw'`` is the text of the paper, with ' A' as continuation.

    Data: ``mmlu`` (MIT), 14,042 test questions in files with a header row and answers 0–3. Reported over
    questions (micro average), as the paper does. Example (anatomy): 'A "dished face" profile is often
    associated with', options 'a protruding mandible due to ...', ...
    """

    name: ClassVar[str] = "mmlu"
    title: ClassVar[str] = "Knowledge and reasoning (MMLU)"
    component: ClassVar[Component] = "capability"
    paper: ClassVar[str] = "2009.03300"
    data: ClassVar[str] = "mmlu"
    caution: ClassVar[str] = (
        "Without examples, and asked in chat form, values differ from published five-example ones; compare "
        "before and after a treatment, not with a leaderboard. The questions are in many training sets."
    )
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.SCORE})
    testbed: ClassVar[str | None] = "knowledge"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="accuracy",
            definition="share of questions whose right option is the likeliest",
            field="correct",
            worse="lower",
            headline=True,
        ),
    )

    def __init__(self, *, shots: int = 0, form: Form = "chat") -> None:
        if not 0 <= shots <= MAX_SHOTS:
            raise InputError(f"mmlu: shots is {shots}; the dev split allows 0 to {MAX_SHOTS}.")
        self.shots = shots
        self.form = known_form(form)

    def items(self) -> Sequence[Item]:
        """All test questions, by subject in alphabetical order; ``data``: ``label``."""
        return mmlu_items("mmlu", shots=self.shots, form=self.form)

    async def examine(self, item: Item, target: Target) -> Verdict:
        """Score the options."""
        logprobs = await option_logprobs(item, target)
        if logprobs is None:
            return Verdict.missing(item, NOT_FINITE)
        return Verdict.of(
            item, correct=float(sole_best(logprobs) == item.data["label"]), chance=1 / len(item.options)
        )

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative at chance."""
        return chance_check(verdicts, "correct")


def subjects() -> list[str]:
    """The 57 subjects in alphabetical order."""
    names = (name.rsplit("/", 1)[-1] for name in source("mmlu").files if name.startswith("test/"))
    return sorted(name.removesuffix("_test.csv") for name in names)


def mmlu_items(prefix: str, *, shots: int, form: Form, per_subject: int | None = None) -> list[Item]:
    """Test questions of every subject (the first ``per_subject`` of each), ids under ``prefix``."""
    items: list[Item] = []
    for subject in subjects():
        examples = load_rows("mmlu", f"dev/{subject}_dev.csv")[:shots] if shots else []
        for number, row in enumerate(load_rows("mmlu", f"test/{subject}_test.csv")[:per_subject]):
            items.append(
                Item(
                    id=f"{prefix}/{subject}/{number}",
                    prompt=_prompt(subject.replace("_", " "), examples, row, form),
                    options=written(LETTERS[:4], form),
                    group=subject,
                    data={"label": int(row["answer"])},
                )
            )
    return items


def _prompt(
    subject: str, examples: Sequence[Mapping[str, Any]], row: Mapping[str, Any], form: Form
) -> Prompt:
    if form == "raw":
        head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        solved = "".join(
            f"{_question(shot)}\nAnswer: {LETTERS[int(shot['answer'])]}\n\n" for shot in examples
        )
        return f"{head}{solved}{_question(row)}\nAnswer:"
    ask = f"Answer this question about {subject} with the letter of the right option only.\n\n"
    turns = [
        turn
        for shot in examples
        for turn in (user(ask + _question(shot)), assistant(LETTERS[int(shot["answer"])]))
    ]
    return (*turns, user(ask + _question(row)))


def _question(row: Mapping[str, Any]) -> str:
    return f"{row['question'].strip()}\n{lettered([row[f'choice{i}'] for i in range(4)])}"
