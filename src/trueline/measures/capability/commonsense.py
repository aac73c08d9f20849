"""Commonsense and reading without the text: BoolQ, OpenBookQA, PIQA, Social IQa, WinoGrande."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.verdicts import Item
from trueline.data.loaders import load_rows
from trueline.measures.choices import posed, written

from .instructions import parse, unlike
from .option_texts import OptionTexts

_YES_NO = re.compile(
    r"Please answer the following question with true or false, question: (?P<question>.*?)\n\n"
    r"Answer format: true/false",
    re.DOTALL,
)


class Commonsense(OptionTexts):
    """One of the sets that LLM-Adapters reformatted; question and options are read out of its instructions."""

    data: ClassVar[str] = "llm_adapters_commonsense"
    caution: ClassVar[str] = (
        "Only differences between targets on the same items mean something: the prompts are ours, not the "
        "common harness's, and the value depends on them."
    )
    folder: ClassVar[str]

    def items(self) -> Sequence[Item]:
        """The questions in their published order without those that offer one text twice; ``data``: ``label``."""
        rows = load_rows("llm_adapters_commonsense", f"{self.folder}/test.json")
        found = [self._item(number, row) for number, row in enumerate(rows)]
        return [item for item in found if len(set(item.options)) == len(item.options)]

    def _item(self, number: int, row: dict[str, Any]) -> Item:
        question, options, label = parse(row)
        return Item(
            id=f"{self.name}/{number}",
            prompt=posed(self.ask(question), self.form),
            options=written(options, self.form),
            cluster=self.shared(question),
            data={"label": label},
        )

    def ask(self, question: str) -> str:
        """The question as it is put."""
        return question if self.form == "chat" else f"Question: {question}\nAnswer:"

    def shared(self, question: str) -> str:
        """What items have in common that are not independent."""
        return question


class BoolQ(Commonsense):
    """BoolQ (Clark et al. 2019, arXiv 1905.10044): yes/no questions that people asked, here without the passage.

    Metrics as in ``OptionTexts`` over the options 'yes' and 'no'. This set leaves out the passage that the
    answer stands in, so it asks what the model knows, not whether it can read: far below published values.
    'yes' is right for 2,033 of 3,270, so chance is 62.2 %, what always saying yes gives.

    Data: ``llm_adapters_commonsense`` (BoolQ itself CC BY-SA 3.0), 3,270 validation questions. Example: 'does
    ethanol take more energy make that produces?' (no).
    """

    name: ClassVar[str] = "boolq"
    title: ClassVar[str] = "Yes/no questions without the passage (BoolQ)"
    paper: ClassVar[str] = "1905.10044"
    folder: ClassVar[str] = "boolq"

    def _item(self, number: int, row: dict[str, Any]) -> Item:
        found = _YES_NO.fullmatch(row["instruction"])
        if found is None or row["answer"] not in ("true", "false"):
            raise InputError(unlike(row))
        question = f"{found['question'].strip().removesuffix('?')}?"
        return Item(
            id=f"boolq/{number}",
            prompt=posed(self.ask(question), self.form),
            options=written(("yes", "no"), self.form),
            data={"label": ("true", "false").index(row["answer"]), "chance": 2033 / 3270},
        )


class OpenBookQA(Commonsense):
    """OpenBookQA (Mihaylov et al. 2018, arXiv 1809.02789): elementary science, here without the book.

    Metrics as in ``OptionTexts``. Each question needs one fact of the published 'open book' and common
    knowledge; the fact is not shown.

    Data: ``llm_adapters_commonsense`` (OpenBookQA itself Apache-2.0), 500 test questions, four options.
    Example: 'A person wants to start saving money ... the best way to save money is to', options 'make more
    phone calls', 'quit eating lunch out', 'buy less with monopoly money', 'have lunch with friends'.
    """

    name: ClassVar[str] = "openbookqa"
    title: ClassVar[str] = "Elementary science (OpenBookQA)"
    paper: ClassVar[str] = "1809.02789"
    folder: ClassVar[str] = "openbookqa"


class PIQA(Commonsense):
    """PIQA (Bisk et al. 2019, arXiv 1911.11641): which of two ways to a physical goal works.

    Metrics as in ``OptionTexts``.

    Data: ``llm_adapters_commonsense``, 1,838 validation questions, two options that often differ by one word.
    Example: 'How do I ready a guinea pig cage for it's new occupants?', bedding of 'ripped paper strips' or
    of 'ripped jeans material'.
    """

    name: ClassVar[str] = "piqa"
    title: ClassVar[str] = "Physical common sense (PIQA)"
    paper: ClassVar[str] = "1911.11641"
    folder: ClassVar[str] = "piqa"


class SocialIQA(Commonsense):
    """Social IQa (Sap et al. 2019, arXiv 1904.09728): why people do what they do, and what comes of it.

    Metrics as in ``OptionTexts``; questions on one situation are one cluster.

    Data: ``llm_adapters_commonsense``, 1,954 validation questions, three options; five questions that offer
    the same text twice are left out. Example: 'Tracy didn't go home that evening and resisted Riley's
    attacks. What does Tracy need to do before this?', options 'make a new plan', 'Go home and see Riley',
    'Find somewhere to go'.
    """

    name: ClassVar[str] = "social_iqa"
    title: ClassVar[str] = "Social common sense (Social IQa)"
    paper: ClassVar[str] = "1904.09728"
    folder: ClassVar[str] = "social_i_qa"

    def shared(self, question: str) -> str:
        """The situation, without the question at its end."""
        return re.split(r"(?<=[.!?])\s+", question)[0]


class WinoGrande(Commonsense):
    """WinoGrande (Sakaguchi et al. 2019, arXiv 1907.10641): whom or what a blank in a sentence means.

    Metrics as in ``OptionTexts`` over the two names or things. The common harness scores the rest of the
    sentence after each filling instead (partial scoring), so its values are others.

    Data: ``llm_adapters_commonsense`` (WinoGrande itself CC BY), 1,267 validation sentences. Example: 'Sarah
    was a much better surgeon than Maria so _ always got the easier cases.' (Maria).
    """

    name: ClassVar[str] = "winogrande"
    title: ClassVar[str] = "Whom a blank means (WinoGrande)"
    paper: ClassVar[str] = "1907.10641"
    folder: ClassVar[str] = "winogrande"

    def ask(self, question: str) -> str:
        """The sentence, and what is asked of it."""
        return super().ask(f"{question} What belongs in the blank?")
