"""trueline data."""

from typing import Annotated

import typer

app = typer.Typer(help="The pinned public data sets: list, fetch, verify.", no_args_is_help=True)
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
