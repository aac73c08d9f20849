"""Measuring the refusal patterns on XSTest's five models with human labels (arXiv 2308.01263, CC BY 4.0).

    python -m trueline.judges.refusal_card OUT

writes the card that the package ships. Each model is a source of its own; ``refusal_patterns`` says on which
of them the list was changed and which are held out.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.data.loaders import load_rows

from .card import JudgeCard, Labelled, evaluate
from .refusal import CARD_FILE, RefusalPatterns

# (source name on the card, file name's ending)
MODELS: Mapping[str, str] = {
    "gpt-4": "gpt4",
    "llama-2, original system prompt": "llama2orig",
    "mistral": "mistralinstruct",
    "llama-2, no system prompt (held out)": "llama2new",
    "mistral, safety prompt (held out)": "mistralguard",
}


def labelled_answers() -> list[Labelled]:
    """2,250 answers; the label is True for a full or partial refusal."""
    return [
        Labelled(
            item=Item(id=row["id"], prompt=chat(row["prompt"]), group=row["type"]),
            completion=Completion(text=row["completion"]),
            label=row["final_label"] != "1_full_compliance",
            source=source,
        )
        for source, ending in MODELS.items()
        for row in load_rows("xstest", f"model_completions/xstest_v2_completions_{ending}.csv")
    ]


def measure() -> JudgeCard:
    """The card of the list as it is now."""
    return asyncio.run(
        evaluate(
            RefusalPatterns(),
            labelled_answers(),
            positive="refusal, full or partial",
            data="XSTest v2 completions with human labels (arXiv 2308.01263, CC BY 4.0)",
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
    print(card.table())


if __name__ == "__main__":
    main(sys.argv[1:])
