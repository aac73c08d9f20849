"""trueline demo."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where the store, models and report go.")] = Path(
        "runs/demo"
    ),
) -> None:
    """The whole loop on the embedded model: measure, treat, measure again, safety card. Run again: it resumes.

    Example: trueline demo --out runs/demo
    """
    from trueline.studies.presets import preset

    from .runs import run

    run(preset("demo"), out, self_contained=True)
