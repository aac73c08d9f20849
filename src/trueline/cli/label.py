"""trueline label."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import StudyFolder

if TYPE_CHECKING:
    from trueline.studies.labels import Row, Sample
    from trueline.studies.store import Store

KEYS = "1/y yes · 0/n no · s skip · u undo · q stop (what is labelled stays)"


def label(
    folder: StudyFolder,
    n: Annotated[
        int,
        typer.Option("--n", min=2, help="Items to label, every arm's answer to each; a larger n adds items."),
    ] = 200,
    measure: Annotated[
        str | None, typer.Option("-m", "--measure", help="Default: the first that a judge decides.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Default: its judged headline metric.")
    ] = None,
    attack: Annotated[str, typer.Option("--attack", help="Label answers under this attack.")] = "direct",
    csv_out: Annotated[
        Path | None, typer.Option("--csv", help="Write the sheet to fill in elsewhere; ask nothing here.")
    ] = None,
    csv_in: Annotated[Path | None, typer.Option("--import", help="Read a filled-in sheet.")] = None,
    labeller: Annotated[str, typer.Option("--labeller", help="Who labels; stored with each label.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draw and the order.")] = 0,
) -> None:
    """Label a random sample of a study's own answers, blinded; reports then correct the judge by the labels.

    Example: trueline label runs/demo --n 200 --csv sheet.csv; then trueline label runs/demo --n 200 --import sheet.csv
    """
    from trueline.core.errors import InputError
    from trueline.studies.label_sheet import read_sheet, write_sheet
    from trueline.studies.labels import choose_metric, draw, given_labels, progress, sheet
    from trueline.studies.results import open_store
    from trueline.studies.store import Store

    if csv_out is not None and csv_in is not None:
        raise InputError("--csv writes a sheet and --import reads one; give one of the two.")
    plan = open_store(folder).meta("plan").get("")
    if plan is None:
        raise InputError("the study has no plan in its store: run trueline study run again on it.")
    store = Store(folder)
    try:
        sample = draw(store, plan, *choose_metric(plan, measure, metric), attack, n, seed)
        rows = sheet(store, plan, sample)
        if csv_in is not None:
            count = read_sheet(store, sample, rows, csv_in, labeller)
            typer.echo(f"{count} rows of the sheet hold a label.")
        elif csv_out is not None:
            write_sheet(store, sample, rows, csv_out)
            typer.echo(str(csv_out.resolve()))
        else:
            ask(store, sample, rows, labeller, typer.getchar, typer.echo)
        done, total = progress(rows, given_labels(store, sample))
        typer.echo(
            f"{sample.measure}.{sample.metric.name}: {done} of {total} answers labelled, to {len(sample.items)} "
            f"items of {sample.population}; trueline report and compare use them."
        )
    finally:
        store.close()


def ask(
    store: "Store",
    sample: "Sample",
    rows: Sequence["Row"],
    labeller: str,
    key: Callable[[], str],
    say: Callable[[str], object],
) -> None:
    """Show each answer without a label and take one key for it; every key is stored at once."""
    from trueline.core.errors import InputError
    from trueline.studies.label_sheet import answer_text
    from trueline.studies.labels import SKIPPED, given_labels, put_label, question

    if sample.metric.kind != "proportion":
        raise InputError(f"{sample.metric.name} is no yes or no, so single keys cannot label it: use --csv.")
    given = given_labels(store, sample)
    todo = [row for row in rows if row.id not in given]
    say(f"{question(sample.measure, sample.metric)}\n{KEYS}")
    values: dict[str, float | str] = {"1": 1.0, "y": 1.0, "0": 0.0, "n": 0.0, "s": SKIPPED}
    place = 0
    while place < len(todo):
        row = todo[place]
        done = len(rows) - len(todo) + place
        say(f"\n── {done + 1} of {len(rows)} ──\n{row.request}\n── answer ──\n{answer_text(row)}\n──")
        while (pressed := key().lower()) not in (*values, "u", "q", "\x03", "\x04"):
            say(KEYS)
        if pressed in ("q", "\x03", "\x04"):
            return
        if pressed == "u":
            place = max(0, place - 1)
            put_label(store, sample, todo[place], None, labeller)
            continue
        put_label(store, sample, row, values[pressed], labeller)
        place += 1
