"""trueline judge."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Settings, settings

if TYPE_CHECKING:
    from trueline.judges.label_sets import LabelSet
    from trueline.judges.train_linear import Trained as TrainedLinear
    from trueline.judges.train_transformer import Trained as TrainedTransformer

app = typer.Typer(
    help="Judges: measure their errors against labels, train one, and show their cards.", no_args_is_help=True
)


class Kind(StrEnum):
    """What is trained."""

    LINEAR = "linear"
    TRANSFORMER = "transformer"


Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        metavar="FILE|data:SET",
        help="A CSV or JSONL of labelled answers, or data:xstest, data:hatecheck, data:davidson_hate, "
        "data:truthfulqa, data:jailbreakbench.",
    ),
]


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="A judge (trueline list judges).")],
    labels: Labels,
    options: Settings = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="From which value a yes is counted.")
    ] = 0.5,
    limit: Annotated[
        int | None, typer.Option("--limit", min=2, help="Judge a random choice of so many answers.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the card; default: cards in the cache folder.")
    ] = None,
) -> None:
    """Measure a judge's errors against labels, source by source, and store its card.

    Example: trueline judge evaluate refusal_patterns --labels data:xstest
    """
    import asyncio

    from trueline.judges.card_folder import cards_folder, store_card
    from trueline.judges.card_tables import card_text
    from trueline.judges.evaluation import evaluate as measure_judge
    from trueline.judges.label_sets import label_set
    from trueline.studies.judging import build_judge

    given = settings(options)
    judge = build_judge({"judge": name, **given})
    found = label_set(labels)
    rows = list(found.rows)
    if limit is not None and limit < len(rows):
        import random

        rows = random.Random(0).sample(rows, limit)
    card = asyncio.run(
        measure_judge(
            judge,
            rows,
            positive=found.positive,
            data=found.data,
            note=found.note,
            threshold=threshold,
            labelled_by=found.labelled_by,
            provenance={"data": found.digest, "name": name, "options": {k: str(v) for k, v in given.items()}},
        )
    )
    typer.echo(card_text(card))
    typer.echo()
    typer.echo(str(store_card(card, found.name, out or cards_folder()).resolve()))


@app.command()
def train(
    labels: Labels,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder to make, or an empty one.")],
    kind: Annotated[
        Kind,
        typer.Option("--kind", help="linear: words, in seconds; transformer: their order too, in minutes."),
    ] = Kind.LINEAR,
) -> None:
    """Train a classifier on labelled answers, measure it on a held-out part, and write it with its card.

    Offline and the same each time. Then use it by name: judge linear_folder, folder=DIR, or judge hf_classifier,
    model=DIR.

    Example: trueline judge train --labels data:xstest --out refusals
    """
    import asyncio
    import json

    from trueline.core.errors import InputError
    from trueline.judges.card import CARD_FILE
    from trueline.judges.card_tables import card_text
    from trueline.judges.evaluation import evaluate as measure_judge
    from trueline.judges.label_sets import label_set
    from trueline.studies.judging import build_judge

    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"--out {out} is not empty; name a new folder.")
    found = label_set(labels)
    named, made = _trained(kind, found, out)
    sizes: dict[str, int] = {part: len(rows) for part, rows in made.parts.items()}
    card = asyncio.run(
        measure_judge(
            build_judge(named),
            made.parts["test"],
            positive=found.positive,
            data=f"{found.data}; the part that was held out of training",
            note=f"{found.note} Fitted on {sizes['fit']} answers, tuned on {sizes['tune']}; {made.copies} of the "
            "held-out answers have the words of one of these.".strip(),
            labelled_by=found.labelled_by,
            provenance={
                "data": found.digest,
                **made.notes,
                **sizes,
            },
        )
    )
    (out / CARD_FILE).write_text(json.dumps(card.as_json(), indent=1) + "\n", encoding="utf-8")
    typer.echo(card_text(card))
    typer.echo()
    typer.echo(f"{{{', '.join(f'{key}: {value}' for key, value in named.items())}}}")


def _trained(
    kind: Kind, found: "LabelSet", out: Path
) -> "tuple[dict[str, str], TrainedLinear | TrainedTransformer]":
    """Train a classifier and write it; the judge's name and options, and what was made."""
    if kind is Kind.TRANSFORMER:
        from trueline.core.threads import use_available_cores
        from trueline.judges.train_transformer import POSITIVE, train_transformer

        use_available_cores()
        classifier = train_transformer(found.rows)
        out.mkdir(parents=True, exist_ok=True)
        classifier.model.save(out)
        return {"judge": "hf_classifier", "model": str(out), "label": POSITIVE}, classifier
    from trueline.judges.linear_folder import write_model
    from trueline.judges.train_linear import train as train_linear

    linear = train_linear(found.rows)
    out.mkdir(parents=True, exist_ok=True)
    write_model(out, linear.model, found.positive)
    return {"judge": "linear_folder", "folder": str(out)}, linear


@app.command("list")
def list_judges() -> None:
    """List the judges of the catalogue and the cards that were measured.

    Example: trueline judge list
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from trueline.catalog import find, names
    from trueline.judges.card_folder import stored_cards

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name in names("judge"):
        table.add_row(name, escape((find("judge", name).__doc__ or "").strip().splitlines()[0]))
    for path, card in stored_cards().items():
        pooled = card.pooled
        table.add_row(path.name, f"{pooled.n} labels by {card.labelled_by}: {escape(card.data)}")
    Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A judge with a shipped card, or a card's file or file name.")],
) -> None:
    """Print a judge card.

    Example: trueline judge show refusal_patterns
    """
    from trueline.catalog import find, names
    from trueline.core.errors import InputError
    from trueline.judges.card import read_card
    from trueline.judges.card_folder import cards_folder
    from trueline.judges.card_tables import card_text

    if name in names("judge"):
        cls = find("judge", name)
        if name in ("linear_folder", "hf_classifier"):
            raise InputError(f"the card of a {name} is in its folder, if any; show DIR/card.json.")
        if not hasattr(cls, "card"):
            raise InputError(
                f"no card comes with the judge {name!r}; measure it with "
                f"trueline judge evaluate {name} --labels FILE."
            )
        typer.echo(card_text(cls().card()))
        return
    path = Path(name) if Path(name).is_file() else cards_folder() / name
    typer.echo(card_text(read_card(path)))
