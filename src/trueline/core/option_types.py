"""Option values from a user's file or command line, held against the type that the option has.

YAML takes ``1e-3`` for a text, as it wants ``1.0e-3``: where a number is wanted it is the number that it says.
Example: ``typed("1e-3", float)`` is 0.001, ``typed("fast", float)`` raises ValueError("a number").
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_SEQUENCES = (list, tuple, Sequence)


def typed(value: Any, hint: Any) -> Any:
    """The value as the type ``hint`` has it. Raises ValueError, which says what is allowed."""
    found = _fit(value, hint)
    if found is _NOT:
        raise ValueError(in_words(hint))
    return found


def in_words(hint: Any) -> str:
    """What a type allows, for a user."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(in_words(part) for part in parts))
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin is Mapping or hint is dict:
        return "a mapping ({name: value})"
    if origin in _SEQUENCES:
        return "a list"
    return {
        bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path",
        NoneType: "nothing (null)",
    }.get(hint, f"a {getattr(hint, '__name__', hint)}")  # fmt: skip


_NOT = object()


def _fit(value: Any, hint: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        # the member that the value is already, before one that it can be read as
        fits = [found for part in parts if (found := _fit(value, part)) is not _NOT]
        return next((found for found in fits if found is value), fits[0] if fits else _NOT)
    if origin is Literal:
        return value if value in parts else _NOT
    if origin is Mapping:
        return _mapping(value, parts[1])
    if origin in _SEQUENCES:
        return _sequence(value, parts[0])
    if hint in (int, float):
        return _number(value, whole=hint is int)
    if hint in (bool, str, NoneType):
        return value if isinstance(value, hint) else _NOT
    if hint is Path:
        return value if isinstance(value, str | Path) else _NOT
    return value  # what cannot be told from a file's values


def _number(value: Any, *, whole: bool) -> Any:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _NOT
        if not math.isfinite(value):
            return _NOT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NOT
    if not whole or isinstance(value, int):
        return value
    return int(value) if value.is_integer() else _NOT


def _mapping(value: Any, hint: Any) -> Any:
    if not isinstance(value, Mapping):
        return _NOT
    found = {name: _fit(entry, hint) for name, entry in value.items()}
    return _NOT if any(entry is _NOT for entry in found.values()) else found


def _sequence(value: Any, hint: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _NOT
    found = [_fit(entry, hint) for entry in value]
    return _NOT if any(entry is _NOT for entry in found) else type(value)(found)
