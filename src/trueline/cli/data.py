"""trueline data."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="The pinned public data sets: list, fetch, verify. Your own training data: audit.",
    no_args_is_help=True,
)
Names = Annotated[list[str] | None, typer.Argument(help="Data sets; all when none is named.")]


@app.command("list")
def list_sources() -> None:
    """List the pinned data sets: licence, rows, and whether they are here.

    Example: trueline data list
    """
    from rich.console import Console
    from rich.table import Table

    from trueline.data.sources import SOURCES, available

    table = Table(box=None, pad_edge=False)
    for column in ("data set", "here", "files", "source", "licence"):
        table.add_column(column, overflow="fold")
    for name, source in SOURCES.items():
        place = f"{source.repo}@{source.commit[:8]}"
        table.add_row(name, "yes" if available(name) else "no", str(len(source.files)), place, source.licence)
    Console().print(table)


@app.command()
def fetch(names: Names = None) -> None:
    """Fetch data sets from their pinned sources, checking each file's sha256.

    Example: trueline data fetch advbench xstest
    """
    from trueline.data.fetch import fetch as fetch_sources

    from .progress import Bars

    with Bars().bar("fetching", 1) as bar:
        fetch_sources(names or None, progress=bar.update)


@app.command()
def verify(names: Names = None) -> None:
    """Recompute the sha256 of every file that is here.

    Example: trueline data verify
    """
    from trueline.core.errors import UnfinishedError
    from trueline.data.fetch import verify as verify_sources

    problems = verify_sources(names or None)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise UnfinishedError(
            f"{len(problems)} files are missing or differ; fetch them with trueline data fetch."
        )
    typer.echo("All whole.")


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(help="Pairs, labels or demonstrations: .jsonl, .json, .csv, .gz.")],
    kind: Annotated[
        str, typer.Option("--kind", help="auto (by the fields), pairs, labels or demonstrations.")
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for audit.md and audit.json; none is written without."),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option("--clean", help="Write the cleaned rows here (.jsonl), the log beside them."),
    ] = None,
) -> None:
    """Look for what is wrong with training data: duplicates, contradictions, bias, leaks, personal data ...

    Exit code 0 whatever is found. Example: trueline data audit pairs.jsonl --clean pairs.clean.jsonl
    """
    from rich.console import Console

    from trueline.core.errors import InputError
    from trueline.data.audit.cleaning import clean as clean_rows
    from trueline.data.audit.cleaning import write
    from trueline.data.audit.reading import KINDS
    from trueline.reports.audit import write_audit
    from trueline.studies.auditing import audit_file

    from .audit_table import audit_table
    from .progress import Bars

    if kind != "auto" and kind not in KINDS:
        raise InputError(f"unknown kind {kind!r}: give auto, {', '.join(KINDS)}.")
    if clean is not None and clean.suffix != ".jsonl":
        raise InputError(f"--clean {clean} is written as JSON lines: give a name that ends in .jsonl.")
    if clean is not None and clean.resolve() == file.resolve():
        raise InputError(f"--clean {clean} would overwrite the file that is audited: give another name.")
    given: Any = None if kind == "auto" else kind
    found = audit_file(file, kind=given, progress=Bars())
    cleaned = clean_rows(found.file, found.checks) if clean is not None else None
    audit_table(found, Console())
    if cleaned is not None and clean is not None:
        log = write(cleaned, clean)
        typer.echo(
            f"{clean}: {len(cleaned.rows):,} of {len(found.file.raw):,} rows, {cleaned.removed:,} removed, "
            f"{cleaned.changed:,} changed; {log} says which and why."
        )
    if out is not None:
        text, _ = write_audit(found, out, cleaned)
        typer.echo(f"{text}, with every row found in audit.json beside it.")


@app.command()
def contamination(
    file: Annotated[
        Path, typer.Argument(help="Training text: .jsonl, .json, .csv, .txt, .md, or .gz of these.")
    ],
    measures: Annotated[
        list[str] | None, typer.Option("-m", "--measure", help="A measure; repeatable. Default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the ids of the items found, with their lines (.json).")
    ] = None,
) -> None:
    """How many items of each measure stand in a training file: what is trained on is no test any more.

    Exit code 0 whatever is found. Example: trueline data contamination train.jsonl -m mmlu -m xstest
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from trueline.studies.contamination import contamination as search

    from .audit_table import contamination_table
    from .progress import Bars

    found = search(file, measures, progress=Bars())
    contamination_table(file, found, Console())
    if out is not None:
        out.write_text(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False) + "\n")
        typer.echo(f"{out}: the ids of the items found, with the first line that holds each.")
