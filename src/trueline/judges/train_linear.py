"""Training a linear judge on labelled answers: fitted, tuned and measured on three parts that share nothing.

Rows that share a cluster (a request, a template) stay together, and so do copies of a text that answers nothing (a
post); such groups go by a digest to fit (60 %), tune (20 %) or test (20 %), so the same file is always split alike.
Different requests may get the same stock refusal: such copies stay, since they will come again, and are counted.

Logistic regression over hashed n-grams (``logistic``), with the penalty of lowest log-loss on the tuning part; its
probabilities are for this file's share of positives. The card is measured on the test part alone. No random
numbers are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueline.core.errors import InputError

from .card import Labelled
from .linear import LinearModel, normalise
from .logistic import design, minimise
from .toxicity_examples import place

Part = Literal["fit", "tune", "test"]
PARTS: tuple[Part, ...] = ("fit", "tune", "test")
BITS = 17
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LEAST = 5  # answers of either label in each part: with fewer, neither fit nor card says anything


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The model, the penalty chosen, its log-loss on the tuning part, and the parts' rows."""

    model: LinearModel
    penalty: float
    log_loss: float
    parts: dict[Part, list[Labelled]]

    @property
    def copies(self) -> int:
        """Answers of the test part whose words stand in another part too."""
        return copies(self.parts)

    @property
    def notes(self) -> dict[str, float]:
        """How it was fitted, for the card."""
        return {"penalty": self.penalty, "tuning_log_loss": self.log_loss}


def train(rows: Sequence[Labelled], *, bits: int = BITS) -> Trained:
    """Fit on one part, choose the penalty on the second; the third is not looked at.

    Raises:
        InputError: a part has too few answers of a label.
    """
    parts = checked_parts(rows)
    fit, tune = readable(parts["fit"]), readable(parts["tune"])
    matrix, truth = design([row.completion.text for row in fit], bits), np.array([row.label for row in fit])
    held = [row.completion.text for row in tune]
    signs = np.where([row.label for row in tune], 1.0, -1.0)
    tried = []
    for penalty in PENALTIES:
        model = minimise(matrix, truth, np.ones(len(fit)), penalty)
        tried.append((float(np.logaddexp(0.0, -signs * model.logits(held)).mean()), penalty, model))
    loss, penalty, model = min(tried, key=lambda entry: entry[:2])
    return Trained(model=model, penalty=penalty, log_loss=loss, parts=parts)


def checked_parts(rows: Sequence[Labelled]) -> dict[Part, list[Labelled]]:
    """The three parts; raises InputError where one has too few answers of a label."""
    parts = split(rows)
    for part, found in parts.items():
        yes = sum(row.label for row in found)
        if min(yes, len(found) - yes) < LEAST:
            raise InputError(
                f"{len(rows)} labelled answers leave {yes} positive and {len(found) - yes} negative for the part "
                f"{part!r}, which needs {LEAST} of each; label more answers, of more requests."
            )
    return parts


def split(rows: Sequence[Labelled]) -> dict[Part, list[Labelled]]:
    """The three parts; rows of one cluster, and copies of a text without a request, are in the same one."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    clusters = [f"cluster {row.cluster or row.item.cluster or row.item.id}" for row in rows]
    for row, cluster in zip(rows, clusters):
        if not row.item.prompt:
            first, second = sorted((root(cluster), root(f"text {words(row)}")))
            parent[second] = first  # the least name leads, so the order of rows changes nothing
    parts: dict[Part, list[Labelled]] = {part: [] for part in PARTS}
    for row, cluster in zip(rows, clusters):
        at = place(root(cluster))
        parts["fit" if at < 0.6 else "tune" if at < 0.8 else "test"].append(row)
    return parts


def copies(parts: Mapping[Part, Sequence[Labelled]]) -> int:
    """Answers of the test part whose words stand in another part too."""
    seen = {words(row) for part in ("fit", "tune") for row in parts[part]}  # type: ignore[index]
    return sum(words(row) in seen for row in parts["test"])


def words(row: Labelled) -> str:
    """The answer's normalised words."""
    return " ".join(normalise(row.completion.text).split())


def readable(rows: Sequence[Labelled]) -> list[Labelled]:
    """Those with a letter or digit: of the others nothing can be learnt."""
    return [row for row in rows if any(character.isalnum() for character in row.completion.text)]
