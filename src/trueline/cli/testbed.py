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


@app.command()
def data(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("runs/testbed-data"),
    rows: Annotated[int, typer.Option("--rows", min=1, help="About how many rows a file has.")] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Seed of what is drawn.")] = 0,
) -> None:
    """Write training data of the demonstration world: a file of each kind that a method of alignment learns from.

    An annotator who is wrong once in twenty writes pairs, labels and rankings; half of the hazards, facts and topics
    are spared, for judging.

    Example: trueline testbed data --out runs/testbed-data
    """
    from trueline.testbed.embedded import world
    from trueline.testbed.training_files import write_training_files

    for path in write_training_files(world(), out, n=rows, seed=seed):
        typer.echo(str(path))
