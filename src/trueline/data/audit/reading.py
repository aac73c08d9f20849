"""Reading a file of training data leniently: a row that cannot be used is a finding, not an error.

Kinds: ``pairs`` (a prompt with ``chosen`` and ``rejected``), ``labels`` (a prompt, an answer and a true or
false ``label``) and ``demonstrations`` (a prompt and an answer). Fields are those of
``trueline.data.preferences``, besides the layouts of :mod:`.comparisons`.

Example: ``{"prompt": "Hi", "chosen": "Hello!", "rejected": ""}`` is read, and the empty answer is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trueline.core.errors import InputError
from trueline.data.row_kinds import wanted_of
from trueline.data.rows import guess_format, read_rows

from .comparisons import as_pair, best_and_worst

Kind = Literal["pairs", "labels", "demonstrations"]
KINDS: tuple[Kind, ...] = ("pairs", "labels", "demonstrations")
CONVERSATIONS = ("messages", "conversations")
ANSWERS = ("answer", "completion", "response", "output")
Turns = tuple[tuple[str, str], ...]
_ASSISTANT = ("assistant", "gpt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One usable row: the turns of its prompt as (role, text), and its answers, a pair's chosen one first."""

    line: int
    turns: Turns
    answers: tuple[str, ...]
    label: bool | None = None

    @property
    def prompt(self) -> str:
        """All turns as one text."""
        return "\n\n".join(text for _, text in self.turns)

    @property
    def text(self) -> str:
        """Prompt and answers as one text."""
        return "\n\n".join((self.prompt, *self.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedFile:
    """A file's rows; ``unusable`` maps the lines without a prompt or an answer to the reason."""

    path: Path
    kind: Kind
    rows: Sequence[Row]
    raw: Mapping[int, Mapping[str, Any]]
    unusable: Mapping[int, str]


def read_file(path: Path, kind: Kind | None = None) -> AuditedFile:
    """The rows of a file; its kind is told from the fields of its first rows unless given.

    Raises InputError when the file cannot be read at all, or no row can be used.
    """
    numbered = [(line, as_pair(row)) for line, row in read_rows(path, guess_format(path))]
    if not numbered:
        raise InputError(f"{path} holds no data: it is empty.")
    found = kind or guess_kind([row for _, row in numbered[:100]], path)
    rows: list[Row] = []
    unusable: dict[int, str] = {}
    for line, row in numbered:
        made = parse(line, row, found)
        if isinstance(made, str):
            unusable[line] = made
        else:
            rows.append(made)
    if not rows:
        first, reason = next(iter(unusable.items()))
        raise InputError(f"{path} holds no {found}: line {first}: {reason}; name its kind with --kind.")
    return AuditedFile(path=path, kind=found, rows=rows, raw=dict(numbered), unusable=unusable)


def guess_kind(rows: Sequence[Mapping[str, Any]], path: Path) -> Kind:
    """Pairs where a row has chosen or rejected or ranks answers, labels where it has a label, else
    demonstrations."""
    if any("chosen" in row or "rejected" in row for row in map(best_and_worst, rows)):
        return "pairs"
    if any(row.get(name) for row in rows for name in (*CONVERSATIONS, *ANSWERS)):
        return "labels" if any("label" in row for row in rows) else "demonstrations"
    fields = ", ".join(sorted({name for row in rows for name in row})) or "none"
    raise InputError(
        f"{path} has the fields {fields}: an audit needs chosen and rejected (pairs), or an answer or messages "
        "with a label (labels) or without one (demonstrations)."
    )


def parse(line: int, row: Mapping[str, Any], kind: Kind) -> Row | str:
    """The row, or why it cannot be used."""
    if kind == "pairs":
        return _pair(line, row)
    label = None
    if kind == "labels":
        label = wanted_of(row)
        if label is None:
            return f"the label {row.get('label')!r} is neither true nor false"
    made = _prompt_and_answer(row)
    if isinstance(made, str):
        return made
    turns, answer = made
    return Row(line=line, turns=turns, answers=(answer,), label=label)


def _pair(line: int, row: Mapping[str, Any]) -> Row | str:
    row = best_and_worst(row)
    sides = []
    for side in ("chosen", "rejected"):
        if row.get(side) is None:
            return f"no {side!r} answer"
        turns = _turns(row[side], "assistant")
        if not turns or turns[-1][0] != "assistant":
            return f"{side!r} holds no assistant's answer"
        sides.append(turns)
    given = next((row[name] for name in ("prompt", *CONVERSATIONS) if row.get(name)), None)
    prompt = sides[0][:-1] if given is None else _turns(given, "user")
    if not any(text.strip() for _, text in prompt):
        return "no prompt"
    if given is None and sides[1][:-1] != prompt:
        return "'chosen' and 'rejected' answer different prompts"
    return Row(line=line, turns=prompt, answers=(sides[0][-1][1], sides[1][-1][1]))


def _prompt_and_answer(row: Mapping[str, Any]) -> tuple[Turns, str] | str:
    named = next((name for name in ANSWERS if row.get(name) is not None), None)
    if named is not None and row.get("prompt"):
        prompt, answer = _turns(row["prompt"], "user"), _turns(row[named], "assistant")
    else:
        whole = next((row[name] for name in CONVERSATIONS if row.get(name)), None)
        turns = _turns(whole, "user")
        prompt, answer = turns[:-1], turns[-1:]
    if not answer or answer[-1][0] != "assistant":
        return "no assistant's answer"
    if not any(text.strip() for _, text in prompt):
        return "no prompt"
    return prompt, answer[-1][1]


def _turns(value: Any, role: str) -> Turns:
    """(role, text) of each message; nothing where the value is neither a text nor messages."""
    if isinstance(value, str):
        return ((role, value),)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return ()
    turns = []
    for entry in value:
        if not isinstance(entry, dict):
            return ()
        speaker, text = entry.get("role", entry.get("from")), entry.get("content", entry.get("value"))
        if not isinstance(speaker, str) or not isinstance(text, str):
            return ()
        turns.append(("assistant" if speaker in _ASSISTANT else speaker, text))
    return tuple(turns)
