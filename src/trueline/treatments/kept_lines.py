"""Lines of work that are never done twice: a JSONL file to which each finished piece is added at once.

The first line says what the pieces are made of. A process killed in the middle leaves at most a torn last
line, which is dropped when the file is opened again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError, UnfinishedError


class KeptLines:
    """A JSONL file of pieces by number; ``done`` holds those that are there."""

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        """Open or begin the file. Raises InputError where it holds another work, or is damaged."""
        self.file = file
        self.done: dict[int, dict[str, Any]] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            whole = file.read_bytes() if file.exists() else b""
            end = whole.rfind(b"\n") + 1
            if end < len(whole):
                with file.open("r+b") as stream:
                    stream.truncate(end)
        except OSError as error:
            raise InputError(f"{file} cannot be used ({error}); give another output folder.") from error
        # not splitlines: a model's words may hold other line separators, and half an emoji
        lines = whole[:end].decode(errors="surrogatepass").split("\n")[:-1]
        try:
            rows = [json.loads(line) for line in lines]
            self.done = {row["id"]: row for row in rows[1:]}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{file} is damaged ({error}); remove it to make its lines anew.") from error
        if not rows:
            self._append({"about": dict(about)})
        elif rows[0].get("about") != json.loads(json.dumps(dict(about))):
            raise InputError(f"{file} was made with other settings; give another folder, or remove it.")

    def add(self, number: int, piece: Mapping[str, Any]) -> None:
        """Keep a finished piece. Raises UnfinishedError where the disk does not take it."""
        row = {"id": number, **piece}
        self._append(row)
        self.done[number] = row

    def _append(self, row: Mapping[str, Any]) -> None:
        text = json.dumps(row, ensure_ascii=False) + "\n"
        try:
            with self.file.open("ab") as stream:
                stream.write(text.encode(errors="surrogatepass"))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UnfinishedError(
                f"{self.file} could not be written ({error}); what it holds is kept: make room and run again."
            ) from error
