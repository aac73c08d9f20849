"""trueline report."""

from pathlib import Path
from typing import Annotated

import typer

from .options import StudyFolder, beside


def report(
    folder: StudyFolder,
    out: Annotated[
        Path | None, typer.Option("--out", help="The HTML file; default report.html in the folder.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the headline table as Markdown.")
    ] = False,
) -> None:
    """Write the report of a finished or half-finished study as one HTML file that opens offline.

    Example: trueline report runs/demo
    """
    if markdown:
        from trueline.reports.markdown import headline_table
        from trueline.studies.results import read_results

        typer.echo(headline_table(read_results(folder)))
        return
    from trueline.reports.html import write_report
    from trueline.studies.results import read_results

    typer.echo(str(write_report(read_results(folder), out or beside(folder, "report.html")).resolve()))
