"""trueline align."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Device, Dtype, LearningRate, Lora, Model, Out, Seed, Settings, settings

if TYPE_CHECKING:
    from trueline.studies.spec import TargetSpec


def align(
    model: Model,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="A method of docs/methods.md, for example dpo; reward or cost for a reward or cost model.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="JSONL of what the method learns from; preference pairs do for most."),
    ] = None,
    safety: Annotated[
        Path | None,
        typer.Option("--safety", help="Safe answers to harmful requests, for methods that mix or hold them."),
    ] = None,
    forget: Annotated[
        Path | None,
        typer.Option("--forget", help="Texts labelled forget or retain, for methods that unlearn."),
    ] = None,
    out: Out = Path("runs/align"),
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the data; default: the method's.")
    ] = None,
    beta: Annotated[float | None, typer.Option("--beta", help="KL strength, where a method has it.")] = None,
    learning_rate: LearningRate = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Examples an optimiser step; default: the method's."),
    ] = None,
    lora: Lora = False,
    other: Settings = None,
    drop_bad: Annotated[
        bool, typer.Option("--drop-bad", help="Leave out rows with empty or identical answers.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only look for known oversights; exit code 1 where a fault is found."),
    ] = False,
    sharded: Annotated[
        bool,
        typer.Option(
            "--sharded", help="Cut the model over the processes of torchrun, which -m trueline align follows."
        ),
    ] = False,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    device: Device = "cpu",
) -> None:
    """Train a model with one of the alignment methods and save it as a transformers folder.

    Beside it stands training.html: reward against divergence, length, entropy, repetition and refusals for a method
    that learns from its own answers, the loss for any other.

    Example: trueline align ./model --method dpo --data pairs.jsonl --out runs/aligned
    """
    from trueline.studies.aligning import align_model
    from trueline.studies.progress import Silent
    from trueline.studies.spec import TargetSpec

    from .progress import Bars

    chosen = {
        "epochs": epochs,
        "beta": beta,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "lora": lora or None,
    }
    parameters = {name: value for name, value in chosen.items() if value is not None}
    parameters |= settings(other)
    spec = TargetSpec(model=model, dtype=dtype, device=device)
    if check:
        _check(spec, method, parameters, data, safety, forget)
        return
    from trueline.core.threads import use_available_cores

    use_available_cores()
    from trueline.reports.training import feedback_words, training_page, training_words

    first = os.environ.get("RANK", "0") == "0"
    aligned = align_model(
        spec,
        method,
        parameters,
        data,
        out,
        safety=safety,
        forget=forget,
        seed=seed,
        progress=Bars() if first else Silent(),
        drop_bad=drop_bad,
        sharded=sharded,
    )
    if first:
        folder = aligned.folder
        for words in (*feedback_words(aligned.feedback), *training_words(folder.parent)):
            typer.echo(words)
        page = training_page(folder.parent)
        if page is not None:
            typer.echo(f"history: {page.resolve()}")
        typer.echo(str(folder.resolve()))
    if "RANK" in os.environ:
        import torch.distributed

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _check(
    spec: "TargetSpec",
    method: str,
    parameters: dict[str, Any],
    data: Path | None,
    safety: Path | None,
    forget: Path | None,
) -> None:
    from trueline.studies.align_check import check_alignment

    from .progress import Bars

    found = check_alignment(spec, method, parameters, data, safety=safety, forget=forget, progress=Bars())
    colours = {"fault": "red", "warning": "yellow", "note": "blue"}
    for oversight in found:
        typer.secho(f"{oversight.grade}: {oversight.name}", fg=colours[oversight.grade])
        typer.echo(f"  {oversight.what}\n  why: {oversight.why}\n  fix: {oversight.fix}")
    counts: Counter[str] = Counter(oversight.grade for oversight in found)
    told = ", ".join(f"{counts[grade]} {grade}{'s' * (counts[grade] != 1)}" for grade in colours)
    typer.echo(f"{told}." if found else "No oversight found.")
    if counts["fault"]:
        raise typer.Exit(1)
