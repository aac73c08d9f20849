"""How long prompts and answers are: drawn around a mean, or those of real preference pairs.

Real ones are of UltraFeedback's first pairs (data set ``ultrafeedback_slice``), counted in words and signs, which needs
no tokenizer; pairs of more than trl's default of 1,024 tokens are left out, since it would cut them. *real_short* and
*real_long* are those of them with prompts of at most 32 and at least 200 tokens.
"""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np

from trueline.data.preferences import read_preferences
from trueline.data.sources import path

LONGEST = 1024
PROMPTS = {"long": (150, 40), "short": (12, 4)}  # mean and half range
ANSWERS = (88, 40)
REAL = {
    "real": (1, LONGEST),
    "real_short": (1, 32),
    "real_long": (200, LONGEST),
}  # least and most of a prompt
KINDS = (*PROMPTS, *REAL)
Lengths = tuple[int, int, int]  # of the prompt, the chosen and the rejected answer, end tokens left out


def lengths(kind: str, count: int, draw: np.random.Generator) -> list[Lengths]:
    """``count`` rows of one kind; raises InputError where the real data has not been fetched."""
    if kind in REAL:
        least, most = REAL[kind]
        found = list(islice((row for row in _real() if least <= row[0] <= most), count))
        if len(found) < count:
            raise SystemExit(
                f"{count} rows were asked for and the data has {len(found)}: give fewer --steps."
            )
        return found
    around = (PROMPTS[kind], ANSWERS, ANSWERS)
    return [
        tuple(int(draw.integers(mean - half, mean + half + 1)) for mean, half in around) for _ in range(count)
    ]  # type: ignore[misc]


def _real() -> Iterator[Lengths]:
    for pair in read_preferences(path("ultrafeedback_slice", "train_clean.jsonl"), drop_bad=True):
        prompt = " ".join(message.content for message in pair.prompt)
        sizes = tuple(len(re.findall(r"\w+|[^\w\s]", text)) for text in (prompt, pair.chosen, pair.rejected))
        if min(sizes) > 0 and sizes[0] + max(sizes[1:]) + 1 <= LONGEST:
            yield sizes  # type: ignore[misc]
