"""The audit of a file of training data: every check of ``trueline.data.audit``, with judge and items.

Example::

    audit = audit_file(Path("pairs.jsonl"), progress=Silent())
    for check in audit.checks:
        print(check.grade, check.name, check.summary)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueline.catalog import make, names
from trueline.core.errors import InputError
from trueline.core.messages import last_user
from trueline.data.audit import (
    answers,
    contradictions,
    duplicates,
    faults,
    flipped,
    overlap,
    personal,
    relatedness,
    style,
    toxic,
)
from trueline.data.audit.finding import Check
from trueline.data.audit.logistic import Problem, standardised
from trueline.data.audit.overlap import EvaluationItem
from trueline.data.audit.reading import AuditedFile, Kind, Row, read_file
from trueline.data.audit.tokens import Tokens, Vocabulary
from trueline.data.sources import source_sha256

from .progress import Progress

_SCORED_CHARACTERS = 4000  # of an answer, by the toxicity judge, which is made for passages


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A file, its content's sha256, and the outcome of every check."""

    file: AuditedFile
    sha256: str
    checks: Sequence[Check]

    @property
    def faults(self) -> int:
        """Checks that found a fault."""
        return sum(check.grade == "fault" for check in self.checks)


def audit_file(path: Path, *, kind: Kind | None = None, progress: Progress) -> Audit:
    """Run every check that fits the file's kind.

    Raises InputError when the file cannot be read or none of its rows used.
    """
    file = read_file(path, kind)
    checks: list[Check] = []
    work = _Work(file.rows)
    steps: list[Callable[[], Check]] = [
        lambda: answers.unusable_rows(file),
        lambda: answers.empty_answers(file.rows),
        lambda: duplicates.exact_duplicates(file.rows),
        lambda: duplicates.near_duplicates(file.rows, work.texts, checks[2]),
    ]
    if file.kind == "pairs":
        steps.append(lambda: answers.identical_answers(file.rows))
    if file.kind != "demonstrations":
        steps += [
            lambda: contradictions.contradictions(file.rows),
            lambda: style.length_bias(file.rows, work.groups),
            lambda: style.style_bias(file.rows, work.groups),
            lambda: flipped.likely_flipped(file.rows, work.label_problem()),
        ]
    steps += [
        lambda: personal.personal_data(file.rows),
        lambda: toxic_answers(file.rows),
        lambda: leaks(file.rows, work),
        lambda: relatedness.misfits(file.rows, work.prompts, work.answers),
        lambda: faults.template_faults(file.rows),
        lambda: faults.cut_answers(file.rows),
        lambda: faults.white_space(file.rows),
        lambda: faults.broken_characters(file.rows),
    ]
    with progress.bar(f"auditing {len(file.rows):,} rows", len(steps)) as bar:
        for step in steps:
            checks.append(step())
            bar.update(len(checks), len(steps), checks[-1].name)
    return Audit(file=file, sha256=source_sha256(path), checks=checks)


def toxic_answers(rows: Sequence[Row]) -> Check:
    """The local toxicity judge on every preferred answer."""
    judge = make("judge", "toxicity_linear", {})
    scores = judge.score([row.answers[0][:_SCORED_CHARACTERS] for row in rows])
    return toxic.toxic_chosen(rows, scores.tolist(), judge.name)


def leaks(rows: Sequence[Row], work: "_Work") -> Check:
    """Overlap with the items of every measure of the catalogue."""
    items, unchecked = evaluation_items()
    if not items:
        words = f"not looked for: the data of no measure is here ({unchecked[0]}); run trueline data fetch"
        return Check(name="overlap with measures", grade="not run", summary=words, why=overlap.WHY)
    return overlap.overlap(rows, items, work.vocabulary, work.prompts, work.texts, unchecked)


def evaluation_items() -> tuple[list[EvaluationItem], list[str]]:
    """The texts of all items that can be had, and the measures whose items cannot."""
    texts: dict[tuple[str, str], EvaluationItem] = {}
    unchecked = []
    for name in names("measure"):
        try:
            found: Any = make("measure", name, {}).items()
        except InputError:
            unchecked.append(name)
            continue
        for item in found:
            text = last_user(item.prompt)
            texts.setdefault((name, text), EvaluationItem(measure=name, text=text))
    return list(texts.values()), unchecked


class _Work:
    """The rows' words, counted once for all checks."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.vocabulary = Vocabulary()
        self.prompts = self.vocabulary.encode(row.prompt for row in rows)
        self.sides = [
            self.vocabulary.encode(row.answers[k] for row in rows) for k in range(len(rows[0].answers))
        ]
        self.answers = joined(self.sides)
        self.texts = joined([self.prompts, *self.sides])
        numbers: dict[str, int] = {}
        plain = [numbers.setdefault(duplicates.plain(row.prompt), len(numbers)) for row in rows]
        self.groups = np.array(plain, dtype=np.int64)

    def label_problem(self) -> Problem:
        """Words and look of the answers against their label."""
        look = np.concatenate(
            [style.lengths(self._rows)[:, :, None], np.log1p(style.styles(self._rows))], axis=2
        )
        columns = look[:, 0] - look[:, 1] if look.shape[1] == 2 else look[:, 0] - look[:, 0].mean(axis=0)
        return flipped.label_problem(self._rows, self.sides, standardised(columns), self.groups)


def joined(parts: Sequence[Tokens]) -> Tokens:
    """The words of text i of every part, one after the other, as text i."""
    lengths = np.sum([part.lengths for part in parts], axis=0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    words = np.empty(int(offsets[-1]), dtype=np.int64)
    start = offsets[:-1].copy()
    for part in parts:
        places = np.repeat(start - part.offsets[:-1], part.lengths) + np.arange(len(part.words))
        words[places] = part.words
        start = start + part.lengths
    return Tokens(words=words, offsets=offsets)
