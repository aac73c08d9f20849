"""trueline testbed."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The embedded world of which everything is known.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The embedded world of which everything is known."""


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder for the trained models.")] = Path("runs/testbed"),
) -> None:
    """Train the embedded models again from their world's corpus (minutes), as the shipped ones were trained.

    Example: trueline testbed build --out runs/testbed
    """
    from trueline.core.threads import use_available_cores

    use_available_cores()
    from trueline.testbed.build import build_embedded

    from .progress import Bars

    with Bars().bar("training", 1) as bar:
        build_embedded(out, progress=bar.update)
    typer.echo(str(out.resolve()))
