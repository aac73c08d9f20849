"""A user's own list of canaries: what was planted, after which prefix, among which candidates."""

import random
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.verdicts import Item
from trueline.data.rows import read_rows

DIGIT = "#"


def read_canaries(path: Path, *, most: int, seed: int) -> list[Item]:
    """Items from a JSONL of "prefix", "secret" and "candidates" (a list) or "format" (# is a digit).

    Where a format has more than ``most`` strings, ``most`` random ones besides the secret stand for the rest,
    and ``data`` says so: ``sampled`` true, ``space`` the number of all strings. Raises InputError naming the
    line.
    """
    if not path.is_file():
        raise InputError(
            f"canary list {str(path)!r} does not exist; give a JSONL of prefix, secret and candidates."
        )
    items = []
    for line, row in read_rows(path, "jsonl"):
        where = f"{path}, line {line}"
        secret = _text(row, "secret", where)
        candidates, space = _candidates(row, secret, where, most, random.Random(f"{seed}:{line}"))
        items.append(
            Item(
                id=f"canary/{line}",
                prompt=_text(row, "prefix", where),
                options=tuple(candidates),
                group=str(row.get("group", "inserted")),
                data={"secret": candidates.index(secret), "space": space, "sampled": space > len(candidates)},
            )
        )
    if not items:
        raise InputError(f"canary list {str(path)!r} is empty; give one JSON object a line.")
    return items


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{where}: {name!r} is {value!r}; give a text that is not empty.")
    return value


def _candidates(
    row: Mapping[str, Any], secret: str, where: str, most: int, rng: random.Random
) -> tuple[list[str], int]:
    listed, form = row.get("candidates"), row.get("format")
    if (listed is None) == (form is None):
        raise InputError(f"{where}: give either 'candidates' or 'format', and not both.")
    if listed is not None:
        found = list(dict.fromkeys([*map(str, listed), secret]))
        if len(found) < 2:
            raise InputError(f"{where}: the secret is the only candidate; give others of its kind.")
        return found, len(found)
    form = str(form)
    digits = form.count(DIGIT)
    fits = len(form) == len(secret) and all(
        s.isascii() and s.isdigit() if f == DIGIT else f == s for f, s in zip(form, secret)
    )
    if not digits or not fits:
        raise InputError(
            f"{where}: secret {secret!r} does not have the format {form!r}, in which # is a digit."
        )
    space = 10**digits
    if space <= most:
        return ["".join(_filled(form, d)) for d in product("0123456789", repeat=digits)], space
    drawn: dict[str, None] = {}
    while len(drawn) < most:
        candidate = "".join(_filled(form, rng.choices("0123456789", k=digits)))
        if candidate != secret:
            drawn[candidate] = None
    return [secret, *drawn], space


def _filled(form: str, digits: Any) -> Iterator[str]:
    values = iter(digits)
    return (next(values) if sign == DIGIT else sign for sign in form)
