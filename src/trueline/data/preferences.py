"""Preference pairs and demonstrations from a user's file, strictly: a bad row is an error with its line.

A file is .jsonl, .json (an array) or .csv, each also with .gz. A row holds, under the field's usual names:

- ``prompt`` (a text or a list of messages), ``chosen`` and ``rejected`` (each a text, a message, or a list of
  messages that is the answer alone or the whole conversation);
- no ``prompt``, and in ``chosen`` and ``rejected`` the whole conversations, equal but for the last message;
- ``conversations`` with ``chosen`` and ``rejected`` (messages as ``{"from": "human", "value": ...}``);
- for demonstrations, ``prompt`` with ``answer``, ``completion``, ``response`` or ``output``, or ``messages``
  or ``conversations`` that end with the assistant's answer.

Every other field of a row is kept in ``meta``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from trueline.core.errors import InputError
from trueline.core.messages import Conversation, Message, Role, user

from .row_kinds import ANSWER_FIELDS, CONVERSATION_FIELDS, looks_like, wanted_of
from .rows import NumberedRow, guess_format, read_rows
from .sources import source_sha256

ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePair:
    """Two answers to one prompt, the first preferred."""

    prompt: Conversation
    chosen: str
    rejected: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A prompt with the answer to be imitated."""

    prompt: Conversation
    answer: str
    meta: Mapping[str, Any] = field(default_factory=dict)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[T]):
    """What a file gave: ``rows``, the counts of what was ``dropped`` by reason, and the content's sha256."""

    rows: tuple[T, ...]
    dropped: Mapping[str, int]
    sha256: str


class BadRow(Exception):
    """A row that cannot be used; the text is the reason."""


def load_preferences(path: Path | str, *, drop_bad: bool = False) -> Loaded[PreferencePair]:
    """The pairs of a file.

    Rows with a missing side, an empty answer or prompt, or identical answers raise InputError naming the
    file, the first such line and their number; with ``drop_bad`` they are left out and counted instead.
    """
    return load_with(Path(path), _pair, drop_bad, "preference pairs")


def load_demonstrations(path: Path | str, *, drop_bad: bool = False) -> Loaded[Demonstration]:
    """The demonstrations of a file; bad rows as in :func:`load_preferences`."""
    return load_with(Path(path), _demonstration, drop_bad, "demonstrations")


def read_preferences(path: Path | str, *, drop_bad: bool = False) -> tuple[PreferencePair, ...]:
    """The pairs of :func:`load_preferences` alone."""
    return load_preferences(path, drop_bad=drop_bad).rows


def read_demonstrations(path: Path | str, *, drop_bad: bool = False) -> tuple[Demonstration, ...]:
    """The demonstrations of :func:`load_demonstrations` alone."""
    return load_demonstrations(path, drop_bad=drop_bad).rows


def as_demonstrations(pairs: Iterable[PreferencePair]) -> tuple[Demonstration, ...]:
    """The chosen answers, to be imitated."""
    return tuple(Demonstration(prompt=p.prompt, answer=p.chosen, meta=p.meta) for p in pairs)


def prompt_of(row: Any, index: int) -> Conversation:
    """The prompt of a row of any kind that has one. Raises InputError for a row that has none."""
    prompt = getattr(row, "prompt", None)
    if not (isinstance(prompt, tuple) and prompt and all(isinstance(message, Message) for message in prompt)):
        raise InputError(
            f"row {index} is a {type(row).__name__} without a conversation as its prompt: give preference pairs or "
            "demonstrations (trueline.data.preferences reads them from a file)."
        )
    return prompt


def load_with(path: Path, parse: Callable[[dict[str, Any]], T], drop_bad: bool, kind: str) -> Loaded[T]:
    """The rows of a file of one kind, each read by ``parse``, which raises BadRow with a reason."""
    rows: list[T] = []
    bad: list[tuple[int, str]] = []
    numbered: list[NumberedRow] = read_rows(path, guess_format(path))
    for line, row in numbered:
        try:
            rows.append(parse(row))
        except BadRow as fault:
            bad.append((line, str(fault)))
    if not numbered:
        raise InputError(f"{path} holds no data: it is empty.")
    if not rows:
        raise InputError(_none_of_the_kind(path, kind, bad, numbered[0][1]))
    if bad and not drop_bad:
        line, reason = bad[0]
        raise InputError(
            f"{path}, line {line}: {reason} ({len(bad)} of {len(numbered)} rows cannot be used); "
            "mend the file, or leave such rows out (--drop-bad; in a study file drop_bad: true)."
        )
    dropped = dict(Counter(reason for _, reason in bad))
    return Loaded(rows=tuple(rows), dropped=dropped, sha256=source_sha256(path))


def _none_of_the_kind(path: Path, kind: str, bad: list[tuple[int, str]], first: Mapping[str, Any]) -> str:
    seems = looks_like(first)
    advice = f"they look like {seems}" if seems not in (None, kind) else "mend the file"
    line, reason = bad[0]
    return f"{path}: {kind} are needed, but none of its {len(bad)} rows can be used (line {line}: {reason}): {advice}."


def _pair(row: dict[str, Any]) -> PreferencePair:
    for side in ("chosen", "rejected"):
        if row.get(side) is None:
            raise BadRow(f"no {side!r} answer")
    used = {"chosen", "rejected"}
    given = next((name for name in ("prompt", *CONVERSATION_FIELDS) if row.get(name)), None)
    if given is None:
        prompt, chosen, rejected = _implicit(row["chosen"], row["rejected"])
    else:
        used.add(given)
        prompt = as_conversation(row[given])
        chosen, rejected = answer_text(row["chosen"], prompt), answer_text(row["rejected"], prompt)
    check_prompt(prompt)
    for side, text in (("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise BadRow(f"the {side!r} answer is empty")
    if chosen.strip() == rejected.strip():
        raise BadRow("the two answers are identical")
    return PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected, meta=rest_of(row, used))


def _demonstration(row: dict[str, Any]) -> Demonstration:
    named = next((name for name in ANSWER_FIELDS if row.get(name) is not None), None)
    if named is not None and row.get("prompt"):
        prompt, used = as_conversation(row["prompt"]), {"prompt", named}
        answer = answer_text(row[named], prompt)
    else:
        whole = next((name for name in CONVERSATION_FIELDS if row.get(name)), None)
        if whole is None:
            names = ", ".join(map(repr, ANSWER_FIELDS))
            raise BadRow(f"no 'prompt' with one of {names}, and no 'messages'")
        messages, used = as_conversation(row[whole]), {whole}
        if messages[-1].role != "assistant":
            raise BadRow("the conversation does not end with the assistant's answer")
        prompt, answer = messages[:-1], messages[-1].content
    check_prompt(prompt)
    if not answer.strip():
        raise BadRow("the answer is empty")
    if wanted_of(row) is False:
        raise BadRow(f"the answer is labelled {row['label']!r}, so it is no example to imitate")
    return Demonstration(prompt=prompt, answer=answer, meta=rest_of(row, used))


def _implicit(chosen: Any, rejected: Any) -> tuple[Conversation, str, str]:
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise BadRow("no 'prompt', and 'chosen' and 'rejected' are not whole conversations")
    a, b = as_conversation(chosen), as_conversation(rejected)
    if a[:-1] != b[:-1] or {a[-1].role, b[-1].role} != {"assistant"}:
        raise BadRow("'chosen' and 'rejected' must be equal but for the assistant's last message")
    return a[:-1], a[-1].content, b[-1].content


def as_conversation(value: Any) -> Conversation:
    """A text or a list of messages as a conversation."""
    if isinstance(value, str):
        return (user(value),)
    if not isinstance(value, list) or not value:
        raise BadRow("the prompt is neither a text nor a list of messages")
    return tuple(_message(entry) for entry in value)


def _message(entry: Any) -> Message:
    if not isinstance(entry, dict):
        raise BadRow("a message is not an object with 'role' and 'content'")
    role, content = entry.get("role", entry.get("from")), entry.get("content", entry.get("value"))
    if not isinstance(role, str) or role not in ROLES:
        raise BadRow(f"unknown role {role!r}; allowed are {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise BadRow("a message's content is not a text")
    return Message(role=ROLES[role], content=content)


def answer_text(value: Any, prompt: Conversation) -> str:
    """An answer: a text, a message, or messages that are the answer alone or follow the prompt."""
    if isinstance(value, str):
        return value
    messages = as_conversation([value] if isinstance(value, dict) else value)
    if messages[: len(prompt)] == prompt:
        messages = messages[len(prompt) :]
    if len(messages) != 1 or messages[0].role != "assistant":
        raise BadRow("an answer must be one assistant message after the prompt")
    return messages[0].content


def check_prompt(prompt: Conversation) -> None:
    """It says something, and the user speaks last."""
    if not any(m.content.strip() for m in prompt):
        raise BadRow("the prompt is empty")
    if prompt[-1].role != "user":
        raise BadRow("the prompt does not end with a user message")


def rest_of(row: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """What a row says besides, in fields of its own or in an object ``meta``."""
    meta = row.get("meta")
    own = {key: value for key, value in row.items() if key not in used}
    return {**own.pop("meta"), **own} if isinstance(meta, dict) and "meta" in own else own
