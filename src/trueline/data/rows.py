"""Rows of a data file, each with the line on which it starts, so that a fault can be named by its line.

Formats: ``csv`` (with a header row), ``csv-bare`` (no header row; the first cell is named ``text`` and any
further ones are empty), ``jsonl`` (one object a line; some published files of this kind end in ``.json``),
``json`` (an array of objects or texts), ``object`` (any other JSON document) and ``text`` (one row for each
line that is not blank). Files may be gzipped and may start with a byte-order mark.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from trueline.core.errors import InputError

Format = Literal["csv", "csv-bare", "jsonl", "json", "object", "text"]
NumberedRow = tuple[int, dict[str, Any]]

_BLANK = " \t\r\n"


def source_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed when its name ends in ``.gz``; raises InputError when damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its name and rights.") from error
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}); fetch or copy it again.") from error


def read_text(path: Path) -> str:
    """The file as text; raises InputError naming the line when it is not UTF-8."""
    data = source_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8.") from error


def read_rows(path: Path, form: Format) -> list[NumberedRow]:
    """All rows with their line numbers (from 1); raises InputError naming the line of the first fault."""
    text = read_text(path)
    if form == "text":
        lines = text.splitlines()
        return [(n, {"text": line}) for n, line in enumerate(lines, 1) if line.strip()]
    if form in ("csv", "csv-bare"):
        return list(_csv_rows(path, text, header=form == "csv"))
    if form == "jsonl":
        return list(_jsonl_rows(path, text))
    if form == "json":
        return list(_array_rows(path, text))
    raise InputError(f"{path} holds one JSON document, not rows; read it with load_json.")


def guess_format(path: Path) -> Format:
    """The format by the name's ending; a ``.json`` file that starts with ``[`` is an array, else lines."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".csv":
        return "csv"
    if suffix == ".jsonl":
        return "jsonl"
    if suffix == ".json":
        return "json" if read_text(path).lstrip().startswith("[") else "jsonl"
    raise InputError(f"{path} ends in {suffix!r}; allowed are .jsonl, .json and .csv, each also with .gz.")


def malformed_json(path: Path, line: int, error: json.JSONDecodeError) -> InputError:
    """The error for text that is not JSON, by file and line."""
    return InputError(f"{path}, line {line}: malformed or truncated JSON ({error.msg}).")


def _csv_rows(path: Path, text: str, *, header: bool) -> Iterator[NumberedRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not cells:
                continue
            if not header:
                cells, names = [cells[0], *(cell for cell in cells[1:] if cell)], ["text"]
            elif names is None:
                names = cells
                continue
            if len(cells) != len(names):
                raise InputError(
                    f"{path}, line {start}: {len(cells)} cells where {len(names)} are expected; "
                    "the row is truncated or its quotes are broken."
                )
            yield start, dict(zip(names, cells))
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: malformed CSV ({error}).") from error


def _jsonl_rows(path: Path, text: str) -> Iterator[NumberedRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise malformed_json(path, number, error) from error
        yield number, _object(path, number, row)


def _array_rows(path: Path, text: str) -> Iterator[NumberedRow]:
    decoder = json.JSONDecoder()
    at, number = _skip(text, 0, 1)
    if text[at : at + 1] != "[":
        raise InputError(f"{path}, line {number}: a JSON array is expected, so the file starts with '['.")
    at, number = _skip(text, at + 1, number)
    while text[at : at + 1] != "]":
        try:
            row, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise malformed_json(path, error.lineno, error) from error
        yield number, _object(path, number, row)
        at, number = _skip(text, end, number + text.count("\n", at, end))
        if text[at : at + 1] == ",":
            at, number = _skip(text, at + 1, number)
        elif text[at : at + 1] != "]":
            raise InputError(f"{path}, line {number}: the JSON array is cut off or lacks a comma.")
    at, number = _skip(text, at + 1, number)
    if at < len(text):
        raise InputError(f"{path}, line {number}: text after the end of the JSON array.")


def _skip(text: str, at: int, line: int) -> tuple[int, int]:
    while at < len(text) and text[at] in _BLANK:
        line += text[at] == "\n"
        at += 1
    return at, line


def _object(path: Path, line: int, row: Any) -> dict[str, Any]:
    if isinstance(row, dict):
        return row
    if isinstance(row, str):
        return {"text": row}
    shown = json.dumps(row)[:40]
    raise InputError(f"{path}, line {line}: a row must be a JSON object or a text, not {shown}.")
