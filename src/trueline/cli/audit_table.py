"""The audit's table for the terminal, made for 80 columns."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trueline.data.audit.finding import excerpt
from trueline.studies.auditing import Audit
from trueline.studies.contamination import Contamination

STYLES = {"fault": "bold red", "note": "yellow", "clean": "green", "not run": "dim"}


def audit_table(audit: Audit, console: Console) -> None:
    """One row a check, faults and notes with their first line of evidence."""
    file = audit.file
    title = f"{file.path.name}: {len(file.raw):,} rows of {file.kind}"
    table = Table(box=None, pad_edge=False, title=escape(title), title_justify="left", header_style="bold")
    table.add_column("check", overflow="fold", width=19)
    table.add_column("", width=7)
    table.add_column("rows", justify="right", width=6)
    table.add_column("what was found", overflow="fold")
    for check in audit.checks:
        words = escape(check.summary)
        if check.findings:
            first = check.findings[0]
            words += f"[dim]; line {first.line}: {escape(first.what)}[/dim]"
        grade = f"[{STYLES[check.grade]}]{check.grade}[/]"
        table.add_row(check.name, grade, f"{check.rows:,}" if check.rows else "", words)
    console.print(table, highlight=False)


def contamination_table(path: Path, found: Sequence[Contamination], console: Console) -> None:
    """One row a measure of which something was found, most first; then how many were clean or not searched."""
    table = Table(box=None, pad_edge=False, title_justify="left", header_style="bold")
    table.title = escape(f"{path.name}: items of measures in it")
    table.add_column("measure", overflow="fold", width=22)
    for name, width in (("found", 7), ("of", 7), ("", 6)):
        table.add_column(name, justify="right", width=width)
    table.add_column("for example", overflow="fold")
    held = sorted((one for one in found if one.rows), key=lambda one: -one.share)
    for one in held:
        item, line = next(iter(one.rows.items()))
        words = f"line {line}: {excerpt(one.texts[item], 60)}"
        table.add_row(
            one.measure, f"{len(one.rows):,}", f"{one.searchable:,}", f"{one.share:.1%}", escape(words)
        )
    if held:
        console.print(table, highlight=False)
    clean = sum(not one.rows and not one.reason for one in found)
    unsearched = [one.measure for one in found if one.reason]
    console.print(f"{clean} of {len(found)} measures: no item found.", highlight=False)
    if unsearched:
        console.print(f"not searched, their items are not here: {', '.join(unsearched)}.", highlight=False)
