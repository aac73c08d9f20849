"""trueline export."""

from pathlib import Path
from typing import Annotated

import typer

from trueline.interop.formats import Format

from .options import StudyFolder, beside


def export(
    folder: StudyFolder,
    to: Annotated[Format, typer.Option("--to", help="The format.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder to write; default: the format's name in the study."),
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", help="The arm that a model card is of.")] = None,
) -> None:
    """Write a study as inspect-ai's logs, as Parquet tables, or as a model card for the hub (JUnit: trueline gate).

    Example: trueline export runs/demo --to parquet
    """
    from trueline.interop.export import export as write

    for path in write(folder, to, out or beside(folder, to.value), arm=arm):
        typer.echo(str(path.resolve()))
