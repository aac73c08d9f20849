"""trueline gate."""

from pathlib import Path
from typing import Annotated

import typer

from .options import StudyFolder

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 4}
MARKS = {
    "pass": "[green]pass[/green]",
    "fail": "[red]fail[/red]",
    "inconclusive": "[yellow]inconclusive[/yellow]",
}


def gate(
    folder: StudyFolder,
    policy: Annotated[Path, typer.Option("--policy", help="The policy file (YAML).")],
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML here.")] = None,
) -> None:
    """Hold a study against a policy: exit 0 pass, 1 fail, 4 inconclusive.

    Example: trueline gate runs/demo --policy studies/policy.yaml --junit gate.xml
    """
    from rich.console import Console
    from rich.table import Table

    from trueline.studies.gate import gate as hold
    from trueline.studies.gate import junit as junit_xml
    from trueline.studies.gate import read_policy
    from trueline.studies.results import read_results

    result = hold(read_results(folder), read_policy(policy))
    table = Table(box=None, pad_edge=False, title=f"{result.policy}: {result.outcome}", title_justify="left")
    for column in ("", "arm", "limit", "found"):
        table.add_column(column, overflow="fold")
    for rule in result.rules:
        limit = " ".join(f"{k} {v:g}" for k in ("min", "max") if (v := getattr(rule.rule, k)) is not None)
        name = f"{rule.rule.measure}.{rule.rule.metric} {rule.rule.of} {limit}"
        table.add_row(MARKS[rule.outcome], rule.arm, name, rule.words)
    Console().print(table)
    if junit is not None:
        junit.write_text(junit_xml(result), encoding="utf-8")
    raise typer.Exit(EXIT_CODES[result.outcome])
