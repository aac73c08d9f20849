"""Measuring the refusal patterns on XSTest's five models with human labels (arXiv 2308.01263, CC BY 4.0).

    python -m trueline.judges.refusal_card OUT

writes the card that the package ships. Each model is a source of its own; ``refusal_patterns`` says on which
of them the list was changed and which are held out.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from trueline.core.errors import InputError

from .card import JudgeCard
from .card_tables import rates_table
from .evaluation import evaluate
from .label_sets import xstest
from .refusal import CARD_FILE, RefusalPatterns


def measure() -> JudgeCard:
    """The card of the list as it is now."""
    labels = xstest()
    return asyncio.run(
        evaluate(
            RefusalPatterns(),
            labels.rows,
            positive=labels.positive,
            data=labels.data,
            note="The list was changed on the first three sources; the last two are held out.",
        )
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the card into the folder named."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise InputError("name one existing folder: python -m trueline.judges.refusal_card OUT")
    card = measure()
    text = json.dumps(card.as_json(), indent=1) + "\n"
    (Path(arguments[0]) / CARD_FILE).write_text(text, encoding="utf-8")
    print(rates_table(card.sources, "source"))


if __name__ == "__main__":
    main(sys.argv[1:])
