"""Perplexity on held-out text."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from trueline.core.measure import ByRows, Component, Floats, Measure, Metric
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict
from trueline.data.loaders import load_json
from trueline.measures.choices import NOT_FINITE

CONTEXT_WORDS = 16
PASSAGE_WORDS = 200
FEWEST_WORDS = 60


def _nll_a(unit: str, columns: Mapping[str, Floats], weights: Floats) -> Floats:
    """Σ nll / Σ unit of each row of weights [r, n]; NaN without units."""
    total = weights @ np.nan_to_num(columns[unit])
    spent: Floats = weights @ np.nan_to_num(columns["nll"])
    value: Floats = np.divide(spent, total, out=np.full(len(weights), np.nan), where=total > 0)
    return value


@ByRows
def perplexity(columns: Mapping[str, Floats], weights: Floats) -> Floats:
    """exp(Σ nll / Σ tokens); NaN without tokens."""
    return np.exp(_nll_a("tokens", columns, weights))


@ByRows
def word_perplexity(columns: Mapping[str, Floats], weights: Floats) -> Floats:
    """exp(Σ nll / Σ words); NaN without words."""
    return np.exp(_nll_a("words", columns, weights))


@ByRows
def byte_perplexity(columns: Mapping[str, Floats], weights: Floats) -> Floats:
    """exp(Σ nll / Σ bytes) = 2 to the bits per byte; NaN without bytes."""
    return np.exp(_nll_a("bytes", columns, weights))


@ByRows
def bits_per_byte(columns: Mapping[str, Floats], weights: Floats) -> Floats:
    """Σ nll / (ln 2 · Σ bytes); NaN without bytes."""
    return _nll_a("bytes", columns, weights) / math.log(2)


class Perplexity(Measure):
    """Perplexity of running text (Jelinek et al. 1977), bits per byte (The Pile, arXiv 2101.00027).

    With nll = −Σ log p(token | what came before): perplexity = exp(Σ nll/Σ tokens) and bits per byte = Σ
    nll/(ln 2 · Σ UTF-8 bytes), sums over all passages; word_perplexity and byte_perplexity are the same
    exponential a word (what white space parts) and a byte. The first words of a passage are context and not
    scored, for targets differ in how they begin a text; ``whole=True`` scores passages from their first token
    on, after the target's beginning token, as the common harness does.

    Data: ``bold`` (CC BY-SA 4.0), its Wikipedia passages on professions: those of 60 words or more, the first
    16 words as context and then up to 200 words in all (one passage an article). Example: 'A metalsmith or
    simply smith is a craftsperson fashioning useful items out of various metals. The term, ...'
    """

    name: ClassVar[str] = "perplexity"
    title: ClassVar[str] = "Perplexity of encyclopedic text"
    version: ClassVar[str] = "2"  # 2: a word and a byte
    component: ClassVar[Component] = "capability"
    paper: ClassVar[str] = "2101.00027"
    data: ClassVar[str] = "bold"
    caution: ClassVar[str] = (
        "Wikipedia is in nearly every training set, so for a public model this is seen text: compare a model "
        "with its own treated forms. Perplexity a token compares only within one tokenizer; bits per byte "
        "compare across."
    )
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.SCORE, Capability.RAW_TEXT})
    testbed: ClassVar[str | None] = "text"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="bits_per_byte",
            definition="negative log2-likelihood of the text, for each UTF-8 byte",
            kind="statistic",
            statistic=bits_per_byte,
            bounds=(0.0, 8.0),
            headline=True,
        ),
        Metric(
            name="perplexity",
            definition="exponential of the mean negative log-likelihood a token",
            kind="statistic",
            statistic=perplexity,
            bounds=(1.0, math.inf),
        ),
        Metric(
            name="word_perplexity",
            definition="exponential of the negative log-likelihood a word",
            kind="statistic",
            statistic=word_perplexity,
            bounds=(1.0, math.inf),
        ),
        Metric(
            name="byte_perplexity",
            definition="exponential of the negative log-likelihood a UTF-8 byte",
            kind="statistic",
            statistic=byte_perplexity,
            bounds=(1.0, 256.0),
        ),
    )

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def items(self) -> Sequence[Item]:
        """One item an article: ``prompt`` is the context, the single option is the text to score."""
        articles = load_json("bold", "wikipedia/profession_wiki.json")
        items: list[Item] = []
        for field, titles in articles.items():
            for title, sentences in titles.items():
                words = " ".join(sentences).split()
                if len(words) >= FEWEST_WORDS:
                    given = 0 if self.whole else CONTEXT_WORDS
                    text = " ".join(words[given:PASSAGE_WORDS])
                    items.append(
                        Item(
                            id=f"perplexity/{field}/{title}",
                            prompt=" ".join(words[:given]),
                            options=(f" {text}" if given else text,),
                        )
                    )
        return items

    async def examine(self, item: Item, target: Target) -> Verdict:
        """Score the text after its context: the prompt, or the first word where an item has no options."""
        prompt, text = (item.prompt, item.options[0]) if item.options else _split(str(item.prompt))
        if not text:
            return Verdict.missing(item, "the text is a single word: nothing follows the context")
        (score,) = await target.score(prompt, (text,))
        if not math.isfinite(score.logprob):
            return Verdict.missing(item, NOT_FINITE)
        return Verdict.of(
            item,
            nll=-score.logprob,
            tokens=score.tokens,
            words=len(text.split()),
            bytes=len(text.encode()),
        )

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative when the text costs more than spelling its bytes at random: 8 bits each."""
        nll = sum(v.values["nll"] for v in verdicts if v.values)
        size = sum(v.values["bytes"] for v in verdicts if v.values)
        if size == 0 or nll / (math.log(2) * size) < 8:
            return None
        return "uninformative: the text costs the model 8 bits a byte or more, as random bytes would"


def _split(text: str) -> tuple[str, str]:
    word = text.split(maxsplit=1)[0] if text.split() else text
    end = text.index(word) + len(word)
    return text[:end], text[end:].rstrip()
