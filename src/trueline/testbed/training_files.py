"""The world's training data as files, one for each kind that methods learn from.

Example: ``written = write_training_files(world(), Path("runs/data"), n=400, seed=0)``, then ``trueline align testbed
--method dpo --data runs/data/pairs.jsonl``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError

from .annotators import Annotator, demonstrations, preference_pairs, ranked_answers
from .contrasts import forget_set, labelled_requests
from .finetunes import fine_tune, safety_data
from .world import World

HARMFUL_SHARE = 0.1  # of the fine-tune that breaks safety
Rows = Sequence[Mapping[str, Any]]


def _labels(world: World, n: int, seed: int) -> Rows:
    pairs = preference_pairs(world, n, Annotator(), seed)
    return [
        {"prompt": pair["prompt"], "answer": pair[side], "label": side == "chosen", "meta": pair["meta"]}
        for pair in pairs
        for side in ("chosen", "rejected")
    ]


WRITERS: Mapping[str, Callable[[World, int, int], Rows]] = {
    "pairs": lambda world, n, seed: preference_pairs(world, n, Annotator(), seed),
    "demonstrations": demonstrations,
    "labels": _labels,
    "rankings": lambda world, n, seed: ranked_answers(world, n, Annotator(), seed),
    "safety": safety_data,
    "forget": lambda world, n, seed: forget_set(world, "all", n, seed),
    "requests": lambda world, n, seed: labelled_requests(world),
    "fine_tune": lambda world, n, seed: fine_tune(world, n, harmful_share=HARMFUL_SHARE, seed=seed),
}  # a file's name -> its rows, of a number and a seed


def write_training_files(world: World, folder: Path, *, n: int, seed: int) -> list[Path]:
    """Write each kind as JSON lines with about ``n`` rows; the same numbers give the same bytes.

    Raises:
        InputError: the folder cannot be written to.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in WRITERS.items():
            path = folder / f"{name}.jsonl"
            path.write_text(
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(world, n, seed)),
                encoding="utf-8",
            )
            written.append(path)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}): give another --out.") from error
    return written
