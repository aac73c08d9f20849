"""trueline weak-to-strong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Device, Dtype, LearningRate, Lora, Seed

if TYPE_CHECKING:
    from trueline.studies.subjects import Subject
    from trueline.studies.weak_to_strong import Parts, Right


def weak_to_strong(
    weak: Annotated[str, typer.Argument(help="The supervisor: testbed:SIZE, a folder or a hub name.")],
    strong: Annotated[str, typer.Argument(help="The student: testbed:SIZE, a folder or a hub name.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="JSONL of prompt and answer, the truth. The testbed has its own."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="The same, to be tested on; default: a third of --data.")
    ] = None,
    skill: Annotated[
        str, typer.Option("--skill", help="What the testbed asks: lookups or repeats.")
    ] = "lookups",
    questions: Annotated[
        int, typer.Option("--n", min=30, help="Questions that the testbed asks, all parts together.")
    ] = 900,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the data.")] = 3,
    learning_rate: LearningRate = None,
    lora: Lora = False,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the trained models and weak_to_strong.json.")
    ] = Path("runs/weak-to-strong"),
    seed: Seed = 0,
    dtype: Dtype = "auto",
    device: Device = "cpu",
) -> None:
    """How much of the gap to the truth a strong model recovers from a weak one's labels (arXiv 2312.09390).

    Example: trueline weak-to-strong testbed:small testbed:large --skill lookups
    """
    import json
    from dataclasses import asdict

    from trueline.core.threads import use_available_cores
    from trueline.studies.spec import TargetSpec
    from trueline.studies.store import make_folder
    from trueline.studies.subjects import load_subject
    from trueline.studies.weak_to_strong import weak_to_strong as study

    from .progress import Bars

    use_available_cores()
    models = [
        load_subject(TargetSpec(model=name, label=role, dtype=dtype, device=device))
        for role, name in (("weak", weak), ("strong", strong))
    ]
    parts, right = _parts(models, data, test, skill, questions, seed)
    make_folder(out)
    rate = learning_rate if learning_rate is not None else 3e-4 if data is None else 2e-5
    found = study(
        models[0].target,
        models[1].target,
        parts,
        workdir=out,
        right=right,
        dials={"epochs": float(epochs), "learning_rate": rate, "lora": lora},
        seed=seed,
        progress=Bars(),
    )
    for name in ("weak", "untrained", "student", "ceiling"):
        one = getattr(found, name)
        typer.echo(f"{_WORDS[name]:48} {100 * one.value:5.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]")
    lost = f", {found.labels_lost} without one" if found.labels_lost else ""
    typer.echo(
        f"{'the weak labels: right':48} {100 * found.labels_right:5.1f} % of {found.rows['student']}{lost}"
    )
    if found.pgr.value is None:
        typer.echo(f"performance gap recovered: no value, {found.pgr.note}.")
    else:
        ends = [f"{end:.2f}" if end is not None else "–" for end in (found.pgr.low, found.pgr.high)]
        typer.echo(
            f"performance gap recovered: {found.pgr.value:.2f} [{', '.join(ends)}] over these questions."
        )
    if found.knew:
        typer.echo(
            "The strong model was no worse before training: the gap was not recovered, it was never there."
        )
    place = out / "weak_to_strong.json"
    place.write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n")
    typer.echo(str(place))


_WORDS = {
    "weak": "weak, fine-tuned on the truth",
    "untrained": "strong, before training",
    "student": "strong, fine-tuned on the weak one's labels",
    "ceiling": "strong, fine-tuned on the truth",
}


def _parts(
    models: "list[Subject]", data: Path | None, test: Path | None, skill: str, questions: int, seed: int
) -> "tuple[Parts, Right]":
    from trueline.core.errors import InputError
    from trueline.data.preferences import read_demonstrations
    from trueline.studies.weak_to_strong import parts_of, says_the_same

    if data is not None:
        rows = read_demonstrations(data)
        return parts_of(
            rows, seed=seed, test=None if test is None else read_demonstrations(test)
        ), says_the_same
    worlds = [model.world for model in models]
    if test is not None or worlds[0] is None or worlds[1] is None or worlds[0].spec != worlds[1].spec:
        raise InputError(
            "weak-to-strong needs --data, a JSONL of prompt and answer, unless both models are of the testbed."
        )
    from trueline.testbed.skills import is_right, skill_questions

    return parts_of(skill_questions(worlds[0], skill, questions, seed), seed=seed), is_right(worlds[0])
