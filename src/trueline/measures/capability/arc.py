"""ARC: grade-school science."""

from collections.abc import Sequence
from typing import Any, ClassVar

from trueline.core.verdicts import Item
from trueline.data.loaders import load_rows
from trueline.measures.choices import posed, written

from .instructions import parse
from .option_texts import OptionTexts

SETS = ("ARC-Challenge", "ARC-Easy")


class ARC(OptionTexts):
    """ARC (Clark et al. 2018, arXiv 1803.05457): science questions answered by the likeliest option text.

    accuracy_norm = share of questions whose right option has the highest log P(option | question)/characters,
    the convention of the common harness's acc_norm; accuracy takes the plain sum (its acc). A tie is a wrong
    answer.

    Data: ``llm_adapters_commonsense`` (ARC itself CC BY-SA 4.0), ARC-Challenge (1,172) and ARC-Easy (2,376)
    test questions with 3 to 5 options; question and options are read out of that set's instruction text and
    its frame is dropped. Groups ``challenge`` and ``easy``. Example: 'Which piece of safety equipment is used
    to keep mold spores from entering the respiratory system?', options 'safety goggles', 'breathing mask',
    'rubber gloves', 'lead apron'.
    """

    name: ClassVar[str] = "arc"
    title: ClassVar[str] = "Science questions (ARC)"
    paper: ClassVar[str] = "1803.05457"
    data: ClassVar[str] = "llm_adapters_commonsense"
    caution: ClassVar[str] = (
        "Only differences between targets on the same items mean something: the value depends on the "
        "prompt's form and on length normalisation, and easy and challenge questions are mixed unless read "
        "by group."
    )

    def items(self) -> Sequence[Item]:
        """Challenge, then easy; ``data``: ``label``."""
        return [
            self._item(name, number, row)
            for name in SETS
            for number, row in enumerate(load_rows("llm_adapters_commonsense", f"{name}/test.json"))
        ]

    def _item(self, name: str, number: int, row: dict[str, Any]) -> Item:
        question, options, label = parse(row)
        prompt = question if self.form == "chat" else f"Question: {question}\nAnswer:"
        return Item(
            id=f"arc/{name}/{number}",
            prompt=posed(prompt, self.form),
            options=written(options, self.form),
            group=name.removeprefix("ARC-").lower(),
            data={"label": label},
        )
