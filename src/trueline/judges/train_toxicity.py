"""Training the toxicity scorer: the weights and the card that the package ships come from this file.

    python -m trueline.judges.train_toxicity OUT

needs the data sets of ``toxicity_examples`` and takes under a minute. Logistic regression with an L2 penalty,
minimised by L-BFGS; then Platt's sigmoid (1999) on the calibration part, fitted with every source and class
of equal weight, so that 0.5 is even odds between equally frequent classes; then 8-bit weights. The card is
measured on the 8-bit weights, on texts of the test part only. No random numbers are used.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trueline.core.errors import InputError

from .card import JudgeCard
from .card_tables import rates_table
from .linear import Floats, LinearModel
from .logistic import design, minimise, platt
from .rates import rates
from .toxicity import CARD_FILE, WEIGHTS_FILE, ToxicityClassifier, unpack
from .toxicity_examples import Example, examples

BITS = 17
PENALTY = 0.3
# One tweet weighs 1. Settled on the calibration part; the totals on HateCheck had been seen by then, so they
# may be a little optimistic. Davidson's classes are balanced, since 83 % of its tweets are toxic.
WEIGHTS: Mapping[str, float] = {
    "davidson_hate": 1.0,
    "realtoxicityprompts/prompts": 3.0,
    "realtoxicityprompts/continuations": 3.0,
    "toxigen": 1.0,
    "bbq": 1.0,
    "llamafactory_demo": 0.1,
    "classic_books": 0.1,
    "identity sentences": 3.0,
}
BALANCED = frozenset({"davidson_hate", "toxigen"})
CALIBRATED_ON = ("davidson_hate", "realtoxicityprompts/prompts", "realtoxicityprompts/continuations")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantised:
    """What is stored: ``weights · scale`` are the weights."""

    weights: np.ndarray[tuple[int], np.dtype[np.int8]]
    scale: float
    bias: float

    def model(self) -> LinearModel:
        """As the scorer uses it."""
        return unpack(self.weights, self.scale, self.bias)


def train(
    rows: Sequence[Example], say: Callable[[str], None] = lambda words: None, *, bits: int = BITS
) -> Quantised:
    """Fit, calibrate, quantise; ``2**bits`` weights."""
    fit = [row for row in rows if row.part == "fit"]
    say(f"fitting on {len(fit)} texts")
    raw = minimise(design([row.text for row in fit], bits), _labels(fit), _fit_weights(fit), PENALTY)
    held = [row for row in rows if row.part == "calibrate" and row.source in CALIBRATED_ON]
    say(f"calibrating on {len(held)} texts")
    slope, offset = platt(raw.logits([row.text for row in held]), _labels(held), _even_weights(held))
    weights = raw.weights * slope
    scale = float(np.abs(weights).max()) / 127
    return Quantised(
        weights=np.round(weights / scale).astype(np.int8), scale=scale, bias=raw.bias * slope + offset
    )


def measure(model: LinearModel, rows: Sequence[Example]) -> JudgeCard:
    """The card on the test part of the rows."""
    judge = ToxicityClassifier(model)
    by_source: dict[str, list[Example]] = {}
    for row in rows:
        if row.part == "test":
            by_source.setdefault(row.source, []).append(row)
    return JudgeCard(
        judge=judge.name,
        fingerprint=judge.fingerprint(),
        positive="toxic (hateful, offensive or abusive)",
        data="held-out fifths of davidson_hate (MIT; human labels), realtoxicityprompts (Apache-2.0; labels "
        "of the Perspective API) and toxigen (CDLA-Permissive-2.0); hatecheck (CC BY 4.0), never trained on",
        note="HateCheck's label is hateful, not toxic: its profanity_nh is toxic and not hateful.",
        sources=tuple(
            rates(source, [row.toxic for row in found], judge.score([row.text for row in found]).tolist())
            for source, found in by_source.items()
        ),
    )


def _labels(rows: Sequence[Example]) -> NDArray[np.bool_]:
    return np.array([row.toxic for row in rows])


def _fit_weights(rows: Sequence[Example]) -> Floats:
    cells = Counter((row.source, row.toxic) for row in rows)
    totals = Counter(row.source for row in rows)
    return np.array(
        [
            WEIGHTS[row.source] * (totals[row.source] / (2 * cells[row.source, row.toxic]))
            if row.source in BALANCED
            else WEIGHTS[row.source]
            for row in rows
        ]
    )


def _even_weights(rows: Sequence[Example]) -> Floats:
    cells = Counter((row.source, row.toxic) for row in rows)
    return np.array([1 / cells[row.source, row.toxic] for row in rows])


def write(folder: Path, quantised: Quantised, card: JudgeCard) -> None:
    """Store weights and card as the package reads them."""
    with (folder / WEIGHTS_FILE).open("wb") as stream:
        np.savez_compressed(
            stream,
            weights=quantised.weights,
            scale=np.float64(quantised.scale),
            bias=np.float64(quantised.bias),
        )
    (folder / CARD_FILE).write_text(json.dumps(card.as_json(), indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Train and write into the folder named."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise InputError("name one existing folder: python -m trueline.judges.train_toxicity OUT")
    rows = examples()
    quantised = train(rows, print)
    card = measure(quantised.model(), rows)
    write(Path(arguments[0]), quantised, card)
    print(rates_table(card.sources, "source"))


if __name__ == "__main__":
    main(sys.argv[1:])
