"""The audit's table for the terminal, made for 80 columns."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trueline.studies.auditing import Audit

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
