"""The sheet of answers to label as CSV, and back."""

import csv
from collections.abc import Sequence
from pathlib import Path

from trueline.core.errors import InputError
from trueline.data.rows import read_rows

from .labels import Row, Sample, given_labels, parse_value, put_label, question
from .store import Store

COLUMNS = ("row", "question", "request", "answer", "label")
ATTEMPT = "\n--- attempt {} ---\n"


def write_sheet(store: Store, sample: Sample, rows: Sequence[Row], path: Path) -> None:
    """One line an answer; labels that are there already are filled in."""
    given = given_labels(store, sample)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in rows:
            label = given.get(row.id, "")
            shown = f"{label:g}" if isinstance(label, float | int) else label
            writer.writerow(
                [row.id, question(sample.measure, sample.metric), row.request, answer_text(row), shown]
            )


def answer_text(row: Row) -> str:
    """The answer, or all attempts one below the other."""
    if len(row.answers) == 1:
        return row.answers[0]
    return "".join(ATTEMPT.format(n) + text for n, text in enumerate(row.answers, 1)).lstrip("\n")


def read_sheet(store: Store, sample: Sample, rows: Sequence[Row], path: Path, labeller: str) -> int:
    """Store the labels of a sheet; returns how many rows hold one. Nothing is stored when a row is wrong.

    Raises:
        InputError: a row that this sample has not, or a label that is not allowed (the line is named).
    """
    known = {row.id: row for row in rows}
    found = []
    for line, entry in read_rows(path, "csv"):
        if not {"row", "label"} <= entry.keys():
            raise InputError(f"{path}, line {line}: a sheet needs the columns row and label.")
        row = known.get(entry["row"])
        if row is None:
            raise InputError(
                f"{path}, line {line}: row {entry['row']!r} is not of this sample; "
                "import the sheet into the study, measure and metric that it was written for."
            )
        value = parse_value(entry["label"], sample.metric, f"{path}, line {line}")
        if value is not None:
            found.append((row, value))
    for row, value in found:
        put_label(store, sample, row, value, labeller)
    return len(found)
