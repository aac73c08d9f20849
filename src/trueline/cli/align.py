"""trueline align."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Dtype, Model, Out, Seed


def align(
    model: Model,
    method: Annotated[str, typer.Option("--method", help="sft or dpo.")],
    data: Annotated[
        Path, typer.Option("--data", help="JSONL of prompt/chosen/rejected, plain or chat form.")
    ],
    out: Out = Path("runs/align"),
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.")] = None,
    beta: Annotated[float | None, typer.Option("--beta", help="KL strength, for dpo.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1)] = None,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train low-rank adapters instead of all weights.")
    ] = False,
    drop_bad: Annotated[
        bool, typer.Option("--drop-bad", help="Leave out rows with empty or identical answers.")
    ] = False,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    device: Device = "cpu",
) -> None:
    """Train a model with one of the alignment methods and save it as a transformers folder.

    Example: trueline align ./model --method dpo --data pairs.jsonl --out runs/aligned
    """
    from trueline.studies.aligning import align_model
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
    spec = TargetSpec(model=model, dtype=dtype, device=device)
    from trueline.core.threads import use_available_cores

    use_available_cores()
    folder = align_model(spec, method, parameters, data, out, seed=seed, progress=Bars(), drop_bad=drop_bad)
    typer.echo(str(folder.resolve()))
