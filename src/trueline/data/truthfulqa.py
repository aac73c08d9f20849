"""TruthfulQA's rows: which answers to a question are true and which false (arXiv 2109.07958).

Answers stand in one cell, parted by semicolons. Repeats are kept once (letter case and a last full stop aside), and
an answer that is listed as both true and false is neither, unless it is the best one, which is true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .loaders import load_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A question with its true answers, the best of them, and its false ones."""

    question: str
    category: str
    best: str
    true: tuple[str, ...]
    false: tuple[str, ...]


def truths() -> Sequence[Truth]:
    """The 790 questions in their published order."""
    return [truth(row) for row in load_rows("truthfulqa", "TruthfulQA.csv")]


def truth(row: Mapping[str, str]) -> Truth:
    """One row."""
    best = row["Best Answer"].strip()
    true = {same(answer): answer for answer in [*_split(row["Correct Answers"]), best]}
    false = {same(answer): answer for answer in _split(row["Incorrect Answers"])}
    both = (true.keys() & false.keys()) - {same(best)}
    return Truth(
        question=row["Question"].strip(),
        category=row["Category"],
        best=best,
        true=tuple(answer for key, answer in true.items() if key not in both),
        false=tuple(answer for key, answer in false.items() if key not in both and key != same(best)),
    )


def same(answer: str) -> str:
    """What two writings of one answer share."""
    return answer.casefold().rstrip(". ")


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]
