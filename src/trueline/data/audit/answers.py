"""Rows that teach nothing: unusable, with an empty answer, or with two identical answers."""

from collections.abc import Sequence

from .duplicates import plain
from .finding import Check, Finding, excerpt
from .reading import AuditedFile, Row


def unusable_rows(file: AuditedFile) -> Check:
    """Rows without a prompt, a side or a label."""
    found = [Finding(line=line, what=reason) for line, reason in file.unusable.items()]
    return Check(
        name="unusable rows",
        grade="fault" if found else "clean",
        summary=f"{len(found)} of {len(file.raw)} rows lack a prompt, an answer or a preference",
        why="a loader that skips them silently trains on other data than you think",
        action="remove",
        findings=found,
    )


def empty_answers(rows: Sequence[Row]) -> Check:
    """Rows of which an answer is empty or white space."""
    found = []
    for row in rows:
        empty = [name for name, answer in zip(sides(row), row.answers) if not answer.strip()]
        if empty:
            found.append(Finding(line=row.line, what=f"empty: {', '.join(empty)}"))
    return Check(
        name="empty answers",
        grade="fault" if found else "clean",
        summary=f"{len(found)} rows have an empty answer",
        why="an empty answer is one end token: the model learns to stop at once, or never to",
        action="remove",
        findings=found,
    )


def identical_answers(rows: Sequence[Row]) -> Check:
    """Pairs whose answers are the same but for case and white space."""
    found = [
        Finding(line=row.line, what=f"both: {excerpt(row.answers[0])}")
        for row in rows
        if len(row.answers) == 2 and row.answers[0].strip() and plain(row.answers[0]) == plain(row.answers[1])
    ]
    return Check(
        name="identical answers",
        grade="fault" if found else "clean",
        summary=f"{len(found)} pairs hold the same answer twice",
        why="their loss is log 2 whatever the model does: no gradient under DPO, pure noise under IPO",
        action="remove",
        findings=found,
    )


def sides(row: Row) -> tuple[str, ...]:
    """The names of a row's answers."""
    return ("chosen", "rejected") if len(row.answers) == 2 else ("answer",)
