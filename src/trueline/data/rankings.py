"""Several answers to one prompt, ranked: from a user's file, or from preference pairs.

A row has ``prompt``, ``answers`` (at least two, all different) and either ``ranks`` (whole numbers, 1 is the
best, equal ones are ties) or ``scores`` (numbers, higher is better), one for each answer.
Example: {"prompt": "How do I pick a lock?", "answers": ["Take a wrench.", "I can't help."], "ranks": [2, 1]}.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.core.messages import Conversation

from .preferences import (
    BadRow,
    Loaded,
    PreferencePair,
    answer_text,
    as_conversation,
    check_prompt,
    load_with,
    rest_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedAnswers:
    """Answers with their ranks (1 is the best, equal ones are ties), and scores where they are known."""

    prompt: Conversation
    answers: tuple[str, ...]
    ranks: tuple[int, ...]
    scores: tuple[float, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def load_rankings(path: Path | str, *, drop_bad: bool = False) -> Loaded[RankedAnswers]:
    """The ranked lists of a file; bad rows as in :func:`~trueline.data.preferences.load_preferences`."""
    return load_with(Path(path), _ranked, drop_bad, "ranked lists")


def read_rankings(path: Path | str, *, drop_bad: bool = False) -> tuple[RankedAnswers, ...]:
    """The ranked lists of :func:`load_rankings` alone."""
    return load_rankings(path, drop_bad=drop_bad).rows


def as_rankings(pairs: Iterable[PreferencePair]) -> tuple[RankedAnswers, ...]:
    """Each pair as a list of two."""
    return tuple(
        RankedAnswers(prompt=p.prompt, answers=(p.chosen, p.rejected), ranks=(1, 2), meta=p.meta)
        for p in pairs
    )


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Ranks of scores, the highest first; equal scores share the best of their ranks."""
    return tuple(1 + sum(other > score for other in scores) for score in scores)


def _ranked(row: dict[str, Any]) -> RankedAnswers:
    if not row.get("prompt"):
        raise BadRow("no 'prompt'")
    prompt = as_conversation(row["prompt"])
    check_prompt(prompt)
    given = row.get("answers")
    if not isinstance(given, list) or len(given) < 2:
        raise BadRow("'answers' is not a list of at least two")
    answers = tuple(answer_text(value, prompt) for value in given)
    if not all(text.strip() for text in answers):
        raise BadRow("an answer is empty")
    if len({text.strip() for text in answers}) < len(answers):
        raise BadRow("two answers are identical")
    ranks, scores = _order(row, len(answers))
    if len(set(ranks)) < 2:
        raise BadRow("all answers have the same rank")
    meta = rest_of(row, {"prompt", "answers", "ranks", "scores"})
    return RankedAnswers(prompt=prompt, answers=answers, ranks=ranks, scores=scores, meta=meta)


def _order(row: dict[str, Any], count: int) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    named = [name for name in ("ranks", "scores") if row.get(name) is not None]
    if len(named) != 1:
        raise BadRow(f"it has {' and '.join(named) or 'neither ranks nor scores'}: give one of the two")
    values = row[named[0]]
    numbers = isinstance(values, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    if not numbers or len(values) != count:
        raise BadRow(f"{named[0]!r} is not a list of {count} numbers, one for each answer")
    if named[0] == "scores":
        return ranks_of(values), tuple(map(float, values))
    if any(v != int(v) or v < 1 for v in values):
        raise BadRow("'ranks' are not whole numbers from 1")
    return tuple(map(int, values)), None
