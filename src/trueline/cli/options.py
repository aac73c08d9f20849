"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(help="testbed, a folder or hub name, openai:NAME@BASE_URL, or inspect:PROVIDER/NAME."),
]
StudyFolder = Annotated[
    str, typer.Argument(help="The folder of a study (its --out), finished or not, or its store's URL.")
]


def beside(folder: str, name: str) -> Path:
    """A file in a study's folder; for a store at a URL, which is no place for files, in the working folder."""
    return Path(name) if "://" in folder else Path(folder) / name


Out = Annotated[Path, typer.Option("--out", help="Folder for the store, trained models and the report.")]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Items a measure, chosen at random once for all arms.")
]
Detect = Annotated[
    float | None,
    typer.Option(
        "--detect",
        metavar="CHANGE",
        min=0.0001,
        max=0.9999,
        help="Ask only as many items as detect this change with 80 % power, e.g. 0.05.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of sampling and training.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps ...")]
Quantize = Annotated[
    str | None,
    typer.Option("--quantize", help="Quantisation of a local model, e.g. 8bit (needs its backend)."),
]
