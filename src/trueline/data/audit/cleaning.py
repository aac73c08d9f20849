"""The cleaned file: what went, what was changed, why, by original line.

Rows of checks whose action is "remove" go, those of "change" are rewritten (personal data in brackets, white
space at the ends), those of "report" stay: a person decides. Every other byte of a row stays as it was.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .finding import Check
from .personal import redact
from .reading import ANSWERS, CONVERSATIONS, AuditedFile

TEXTS = ("prompt", "chosen", "rejected", "answers", *ANSWERS, *CONVERSATIONS)
CHANGES: Mapping[str, Callable[[str], str]] = {
    "personal data": redact,
    "white space at the ends": str.strip,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log: a row that went or was changed."""

    line: int
    done: str
    check: str
    what: str

    def as_json(self) -> dict[str, Any]:
        """As written to the log."""
        return {"line": self.line, "action": self.done, "check": self.check, "what": self.what}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """The rows that stay, in their order, and the log."""

    rows: Sequence[Mapping[str, Any]]
    log: Sequence[Entry]

    @property
    def removed(self) -> int:
        """Rows that went."""
        return len({entry.line for entry in self.log if entry.done == "removed"})

    @property
    def changed(self) -> int:
        """Rows that were changed."""
        return len({entry.line for entry in self.log if entry.done == "changed"})


def clean(file: AuditedFile, checks: Sequence[Check]) -> Cleaned:
    """Apply the checks to the file's rows."""
    going: dict[int, Entry] = {}
    changes: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for check in checks:
        for finding in check.findings:
            if check.action == "remove":
                entry = Entry(line=finding.line, done="removed", check=check.name, what=finding.what)
                going.setdefault(finding.line, entry)
            elif check.action == "change":
                changes[finding.line].append((check.name, finding.what))
    rows, log = [], list(going.values())
    for line, row in file.raw.items():
        if line in going:
            continue
        for name, what in changes.get(line, ()):
            changed = {k: _through(v, CHANGES[name]) if k in TEXTS else v for k, v in row.items()}
            if changed != row:
                log.append(Entry(line=line, done="changed", check=name, what=what))
            row = changed
        rows.append(row)
    return Cleaned(rows=rows, log=sorted(log, key=lambda entry: (entry.line, entry.check)))


def write(cleaned: Cleaned, path: Path) -> Path:
    """Write the rows as JSONL and the log beside them; returns the log's path."""
    _lines(path, cleaned.rows)
    log = path.with_suffix(".log.jsonl")
    _lines(log, [entry.as_json() for entry in cleaned.log])
    return log


def _lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    partial.replace(path)


def _through(value: Any, change: Callable[[str], str]) -> Any:
    """The change applied to the texts of a field, whatever its form; roles are left alone."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_through(entry, change) for entry in value]
    if isinstance(value, dict):
        return {k: _through(v, change) if k in ("content", "value") else v for k, v in value.items()}
    return value
