"""Arguments and options that several verbs share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.core.errors import InputError

Model = Annotated[
    str,
    typer.Argument(help="testbed, a folder or hub name, openai:NAME@BASE_URL, or inspect:PROVIDER/NAME."),
]
StudyFolder = Annotated[
    str, typer.Argument(help="The folder of a study (its --out), finished or not, or its store's URL.")
]


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Another option by its name, its value as in a study file; repeatable.",
    ),
]


def settings(given: Sequence[str] | None) -> dict[str, Any]:
    """What ``--set NAME=VALUE`` options say; values are read as in a study file (YAML)."""
    import yaml

    values = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value):
            raise InputError(f"--set {text!r} is not NAME=VALUE; write for example --set tau=0.1.")
        try:
            values[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text!r}: the value is not YAML; put it in quotes.") from error
    return values


def beside(folder: str, name: str) -> Path:
    """A file in a study's folder; for a store at a URL, which is no place for files, in the working folder."""
    return Path(name) if "://" in folder else Path(folder) / name


Out = Annotated[Path, typer.Option("--out", help="Folder for the store, trained models and the report.")]
StoreURL = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Keep verdicts in a PostgreSQL database (postgresql://...) instead of in --out.",
    ),
]
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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan with its price and stop.")]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", help="Refuse to start above this many US dollars.")
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", help="Step size of the optimiser; default: the method's.")
]
Lora = Annotated[bool, typer.Option("--lora", help="Train low-rank adapters instead of all weights.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of sampling and training.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps ...")]
Quantize = Annotated[
    str | None,
    typer.Option("--quantize", help="Quantisation of a local model, e.g. 8bit (needs its backend)."),
]
