"""Reading pinned files: nothing is returned from a file that is cut off, altered or of another length.

Known traps that the registry's ``format`` and ``rows`` handle: MMLU's files have a header row here and
answers 0-3; XSafety's have no header, so the first line is an item, as in ethics/cm_ambig; TOFU, HaluEval and
Auto-J files end in ``.json`` but hold one object a line.
"""

import json
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError

from .rows import malformed_json, read_rows, read_text
from .sources import Source, SourceFile, path, source, source_sha256


def load_rows(name: str, file: str) -> list[dict[str, Any]]:
    """The rows of a pinned file, as many as published; lines of text and bare texts become ``{"text": ...}``.

    Raises MissingDataError when the file is not here, and InputError naming the line where it is malformed or
    cut off, the two counts when rows are missing, or the checksum when the bytes differ otherwise.
    """
    where, pinned, found = _locate(name, file)
    rows = [row for _, row in read_rows(found, pinned.format)]
    if len(rows) != pinned.rows:
        raise InputError(
            f"{found} holds {len(rows)} rows, the published file {pinned.rows}; {_refetch(where, found)}"
        )
    _check_bytes(where, pinned, found)
    return rows


def load_text(name: str, file: str) -> str:
    """A pinned file as one text."""
    where, pinned, found = _locate(name, file)
    text = read_text(found)
    _check_bytes(where, pinned, found)
    return text


def load_json(name: str, file: str) -> Any:
    """A pinned JSON document that is not a list of rows."""
    where, pinned, found = _locate(name, file)
    try:
        value = json.loads(read_text(found))
    except json.JSONDecodeError as error:
        raise malformed_json(found, error.lineno, error) from error
    _check_bytes(where, pinned, found)
    return value


def _locate(name: str, file: str) -> tuple[Source, SourceFile, Path]:
    where = source(name)
    return where, where.file(file), path(name, file)


def _check_bytes(where: Source, pinned: SourceFile, found: Path) -> None:
    actual = source_sha256(found)
    if actual != pinned.sha256:
        raise InputError(
            f"{found} is not the published file: sha256 {actual[:12]}… instead of {pinned.sha256[:12]}…; "
            f"{_refetch(where, found)}"
        )


def _refetch(where: Source, found: Path) -> str:
    return f"remove it and run: trueline data fetch {where.name}"
