"""From rows of the user's data to items; the first fault is named by its line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Prompt, from_json
from trueline.core.verdicts import Item
from trueline.data.rows import guess_format, read_rows
from trueline.measures.choices import LETTERS, Form, posed, written
from trueline.measures.controls import CONTROL

from .definition import Definition
from .matching import plain

ROLES = ("system", "user", "assistant")


def read_items(definition: Definition, path: Path, form: Form) -> list[Item]:
    """One item a row, in the file's order; its id carries the line on which it starts.

    Raises:
        InputError: the file is empty or cannot be read, or a row lacks what the definition says it has.
    """
    items = [
        _Row(definition, path, line, row).item(form) for line, row in read_rows(path, guess_format(path))
    ]
    if not items:
        raise InputError(f"{path} holds no rows, so the measure {definition.name!r} would ask nothing.")
    found = {item.group for item in items}
    for category in definition.categories:
        if category not in found:
            raise InputError(
                f"{path}: no row has the category {category!r}; there are: {', '.join(sorted(found))}."
            )
    return items


class _Row:
    def __init__(self, definition: Definition, path: Path, line: int, row: Mapping[str, Any]) -> None:
        self.definition, self.columns = definition, definition.columns
        self.row, self.line = row, line
        self.place = f"{path}, line {line}"

    def item(self, form: Form) -> Item:
        data: dict[str, Any] = {}
        options: tuple[str, ...] = ()
        if self.columns.options is not None:
            texts = self._options()
            data["label"] = self._label(texts)
            options = written(texts, form)
        elif self.columns.answer is not None:
            data["answers"] = self._answers(self.columns.answer)
        if self.columns.reference is not None:
            data["reference"] = self._text(self.columns.reference)
        group = self._text(self.columns.category) if self.columns.category else ""
        if group == CONTROL:
            raise InputError(f"{self.place}: the category {CONTROL!r} is Trueline's own; rename it.")
        return Item(
            id=f"{self.definition.name}/{self.line}",
            prompt=self._prompt(form),
            options=options,
            cluster=self._text(self.columns.cluster) if self.columns.cluster else "",
            group=group,
            data=data,
        )

    def _cell(self, column: str) -> Any:
        if column not in self.row:
            raise InputError(
                f"{self.place}: there is no column {column!r}; the row has: {', '.join(map(str, self.row))}."
            )
        return self.row[column]

    def _text(self, column: str) -> str:
        value = self._cell(column)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"{self.place}: {column} holds {type(value).__name__}, not a text.")
        text = str(value).strip()
        if not text:
            raise InputError(f"{self.place}: {column} is empty; fill it or take the row out.")
        return text

    def _texts(self, column: str) -> list[str]:
        """One text, or a list of texts; in a CSV cell a list is written as JSON."""
        value = self._cell(column)
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise InputError(f"{self.place}: {column} is not a JSON list ({error.msg}).") from error
        if not isinstance(value, list):
            return [self._text(column)]
        texts = [entry.strip() if isinstance(entry, str) else "" for entry in value]
        if not texts or not all(texts):
            raise InputError(f"{self.place}: {column} must be a list of texts, none of them empty.")
        return texts

    def _answers(self, column: str) -> list[str]:
        answers = self._texts(column)
        for answer in answers:
            if not plain(answer):
                raise InputError(
                    f"{self.place}: the answer {answer!r} is punctuation only; nothing can match it."
                )
        return answers

    def _prompt(self, form: Form) -> Prompt:
        value = self._cell(self.columns.prompt)
        if not isinstance(value, list):
            return posed(self._text(self.columns.prompt), form)
        turns = all(
            isinstance(turn, dict)
            and set(turn) == {"role", "content"}
            and turn["role"] in ROLES
            and isinstance(turn["content"], str)
            for turn in value
        )
        if not turns or not value or form == "raw":
            raise InputError(
                f"{self.place}: {self.columns.prompt} must be a text, or in chat form a list of turns "
                '{"role": "system", "user" or "assistant", "content": TEXT}.'
            )
        return from_json(value)

    def _options(self) -> list[str]:
        given = self.columns.options
        texts = (
            [self._text(column) for column in given] if isinstance(given, tuple) else self._texts(given or "")
        )
        if len(texts) < 2 or len(set(texts)) < len(texts):
            raise InputError(f"{self.place}: options must be two or more different texts, not {texts!r}.")
        return texts

    def _label(self, options: Sequence[str]) -> int:
        answer, how = self._text(self.columns.answer or ""), self.definition.answer_is
        allowed = {
            "text": list(options),
            "letter": list(LETTERS[: len(options)]),
            "index": [str(number) for number in range(len(options))],
        }[how]
        if answer not in allowed:
            raise InputError(
                f"{self.place}: the answer {answer!r} is none of {', '.join(map(repr, allowed))}; answer_is is "
                f"{how!r} (text, letter, or index counted from 0)."
            )
        return allowed.index(answer)
