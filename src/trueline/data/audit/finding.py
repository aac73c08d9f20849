"""What a check finds: lines with evidence, and one sentence for the file as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["remove", "change", "report"]
Grade = Literal["clean", "note", "fault", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that a check objects to: its ``line`` in the file, the evidence, and the line it repeats."""

    line: int
    what: str
    other: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The outcome of one check.

    ``action`` is what the cleaned file does with the rows found. ``numbers`` are for ``audit.json``; ``why``
    says what the fault does to training, with a reference.
    """

    name: str
    grade: Grade
    summary: str
    why: str
    action: Action = "report"
    findings: Sequence[Finding] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows found, each counted once."""
        return len({finding.line for finding in self.findings})


def excerpt(text: str, length: int = 60) -> str:
    """The text on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.1f} %"
