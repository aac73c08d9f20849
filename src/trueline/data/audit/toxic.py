"""Toxic preferred answers: what is chosen is what the model will say.

Scores come from a judge. A row is found where the chosen answer (or one that is labelled true, or shown to be
imitated) scores at least the threshold; a rejected answer may be as toxic as it likes.
"""

from collections.abc import Sequence

from .finding import Check, Finding, excerpt, percent
from .reading import Row

THRESHOLD = 0.95
WHY = "the chosen side is what the model is taught to say; the judge errs, so look before you drop"


def toxic_chosen(rows: Sequence[Row], scores: Sequence[float], judge: str) -> Check:
    """``scores`` are of each row's first answer, in [0, 1]."""
    found = [
        Finding(line=row.line, what=f"{score:.2f} “{excerpt(row.answers[0], 70)}”")
        for row, score in zip(rows, scores)
        if score >= THRESHOLD and row.label is not False
    ]
    found.sort(key=lambda finding: finding.what, reverse=True)
    return Check(
        name="toxic chosen",
        grade="fault" if len(found) > 0.01 * len(rows) else "note" if found else "clean",
        summary=f"{len(found)} preferred answers ({percent(len(found) / len(rows))}) score {THRESHOLD} or "
        f"more with {judge}",
        why=WHY,
        findings=found,
        numbers={"threshold": THRESHOLD},
    )
