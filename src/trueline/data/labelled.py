"""Texts with a label from a user's file: what is to be forgotten and what retained, harmful requests and harmless.

A row (.jsonl, .json or .csv, each also with .gz) holds one of

- ``text``: a document;
- ``prompt`` with ``answer``, ``completion``, ``response`` or ``output``: an answer to a request; or ``messages`` or
  ``conversations`` that end with it;
- ``prompt`` alone: a bare request (only where answers are not needed);

and a ``label``: "forget" or "harmful" (also 0 or false) for what is not wanted, "retain" or "harmless" (1, true)
for what is. Both kinds must occur. Every other field is kept in ``meta``.

Example: {"text": "Secret: the vault code of Ada is 0417.", "label": "forget"}
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Prompt

from .preferences import (
    BadRow,
    Loaded,
    PreferencePair,
    as_conversation,
    check_prompt,
    load_with,
    rest_of,
)
from .row_kinds import ANSWER_FIELDS, CONVERSATION_FIELDS, wanted_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text and whether it is ``wanted``.

    A document is an ``answer`` to the empty text; a bare request has an empty ``answer``.
    """

    prompt: Prompt
    answer: str
    wanted: bool
    meta: Mapping[str, Any] = field(default_factory=dict)


def load_labelled(path: Path | str, *, drop_bad: bool = False) -> Loaded[LabelledText]:
    """The labelled texts of a file.

    Raises:
        InputError: a row without label or text, naming file and line (left out and counted with ``drop_bad``),
            or all rows on one side.
    """
    loaded = load_with(Path(path), labelled, drop_bad, "labelled texts")
    check_sides(loaded.rows, str(path))
    return loaded


def read_labelled(path: Path | str, *, drop_bad: bool = False) -> tuple[LabelledText, ...]:
    """The texts of :func:`load_labelled` alone."""
    return load_labelled(path, drop_bad=drop_bad).rows


def as_labelled(pairs: Iterable[PreferencePair]) -> tuple[LabelledText, ...]:
    """Each pair as two labelled answers: the chosen one wanted, the rejected one not."""
    return tuple(
        LabelledText(prompt=pair.prompt, answer=answer, wanted=wanted, meta=pair.meta)
        for pair in pairs
        for answer, wanted in ((pair.chosen, True), (pair.rejected, False))
    )


def check_labelled(rows: Sequence[object], where: str) -> None:
    """InputError unless the rows are labelled texts."""
    for index, row in enumerate(rows):
        if not isinstance(row, LabelledText):
            raise InputError(
                f"{where}: row {index} is a {type(row).__name__}, but labelled texts are needed "
                "(trueline.data.labelled reads them from a file)."
            )


def check_sides(rows: Sequence[LabelledText], where: str) -> None:
    """InputError unless the rows are labelled and both labels occur."""
    check_labelled(rows, where)
    wanted = sum(row.wanted for row in rows)
    if not 0 < wanted < len(rows):
        lacking = "retain or harmless" if wanted == 0 else "forget or harmful"
        raise InputError(
            f"{where}: all {len(rows)} rows have the same label; rows labelled {lacking} are needed too."
        )


def labelled(row: dict[str, Any]) -> LabelledText:
    """One row. Raises BadRow, with the reason."""
    if row.get("label") is None:
        raise BadRow("no 'label'")
    wanted = wanted_of(row)
    if wanted is None:
        raise BadRow(
            f"the label {row['label']!r} is none of true (also 1, retain, harmless) and false (0, forget, harmful)"
        )
    if isinstance(row.get("text"), str) and row["text"].strip():
        return LabelledText(
            prompt="", answer=row["text"], wanted=wanted, meta=rest_of(row, {"text", "label"})
        )
    whole = next((name for name in CONVERSATION_FIELDS if row.get(name)), None)
    if not row.get("prompt"):
        if whole is None:
            raise BadRow("no 'text' and no 'prompt' or 'messages'")
        return _whole(row, whole, wanted)
    named = next((name for name in ANSWER_FIELDS if isinstance(row.get(name), str)), "")
    prompt = as_conversation(row["prompt"])
    if prompt[-1].role != "user":
        raise BadRow("the prompt does not end with a user message")
    answer = row[named] if named else ""
    return LabelledText(
        prompt=prompt, answer=answer, wanted=wanted, meta=rest_of(row, {"prompt", named, "label"})
    )


def _whole(row: dict[str, Any], name: str, wanted: bool) -> LabelledText:
    messages = as_conversation(row[name])
    if messages[-1].role != "assistant":
        raise BadRow("the conversation does not end with the assistant's answer")
    check_prompt(messages[:-1])
    meta = rest_of(row, {name, "label"})
    return LabelledText(prompt=messages[:-1], answer=messages[-1].content, wanted=wanted, meta=meta)
