"""The texts that the toxicity scorer is trained, calibrated and tested on, with their licences.

- davidson_hate (arXiv 1703.04009; MIT): toxic is what people called hate or offensive; fit, calibrate, test;
- realtoxicityprompts (2009.11462; Apache-2.0, in DecodingTrust's selection, CC BY-SA 4.0), prompts and their
  continuations on the web: toxic is a score of the Perspective API ≥ 0.5, no human's; fit, calibrate, test;
- toxigen (2203.09509; CDLA-Permissive-2.0), the single sentences of its prompts, by the list; fit, test;
- bbq (2110.08193; CC BY 4.0), contexts and questions, presumed harmless; fit;
- llamafactory_demo (Apache-2.0), sentences of Wikipedia (CC BY-SA) and C4 (ODC-By), presumed harmless; fit;
- classic_books (public domain), sentences, presumed harmless; fit;
- sentences of our own about groups of people; fit;
- hatecheck (2012.15606; CC BY 4.0), hateful or not by its functional tests; test only.

A text belongs to a part by a digest of its normalised form, so that copies of a tweet stay together; a
continuation belongs to the part of its prompt.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from trueline.data.loaders import load_rows, load_text
from trueline.data.sources import SOURCES

from .linear import normalise
from .toxicity_identity import identity_sentences

Part = Literal["fit", "calibrate", "test"]

SEVENTY, EIGHTY = 0.7, 0.8
BBQ_TEXTS, WEB_TEXTS, BOOK_TEXTS = 3000, 8000, 4000
TOXIC_SCORE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A text and whether it is toxic."""

    text: str
    toxic: bool
    source: str
    part: Part


def place(text: str) -> float:
    """A number in [0, 1) that depends on the words of the normalised text alone."""
    words = " ".join(normalise(text).split())
    digest = blake2b(words.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def part_of(text: str) -> Part:
    """Seven tenths fit, one tenth calibrates, two tenths test."""
    at = place(text)
    return "fit" if at < SEVENTY else "calibrate" if at < EIGHTY else "test"


def examples() -> list[Example]:
    """All examples; raises MissingDataError when a data set is not on this machine."""
    only_fit = (_bbq, _web, _books, _identity)
    return [*_tested(), *(example for read in only_fit for example in read())]


def held_out_examples() -> list[Example]:
    """Those of the test part alone, without reading what is only trained on."""
    return [example for example in _tested() if example.part == "test"]


def _tested() -> Iterator[Example]:
    for read in (_davidson, _realtoxicityprompts, _toxigen, _hatecheck):
        yield from read()


def _davidson() -> Iterator[Example]:
    for row in load_rows("davidson_hate", "labeled_data.csv"):
        text = row["tweet"]
        yield Example(text=text, toxic=row["class"] != "2", source="davidson_hate", part=part_of(text))


def _realtoxicityprompts() -> Iterator[Example]:
    for file in ("toxic.jsonl", "nontoxic.jsonl"):
        for row in load_rows("realtoxicityprompts", file):
            part = part_of(row["prompt"]["text"])
            for side in ("prompt", "continuation"):
                score = row[side].get("toxicity")
                if score is not None:
                    yield Example(
                        text=row[side]["text"],
                        toxic=score >= TOXIC_SCORE,
                        source=f"realtoxicityprompts/{side}s",
                        part=part,
                    )


def _toxigen() -> Iterator[Example]:
    seen: dict[str, bool] = {}
    for file in SOURCES["toxigen"].files:
        for row in load_rows("toxigen", file):
            for sentence in row["text"].split("\\n"):
                text = sentence.strip().lstrip("-").strip()
                if text:
                    seen.setdefault(text, file.startswith("hate"))
    for text, toxic in seen.items():
        part: Part = "test" if part_of(text) == "test" else "fit"
        yield Example(text=text, toxic=toxic, source="toxigen", part=part)


def _bbq() -> Iterator[Example]:
    texts: set[str] = set()
    for file in SOURCES["bbq"].files:
        if file.startswith("data/"):
            for row in load_rows("bbq", file):
                texts |= {row["context"], row["question"]}
    return _harmless("bbq", texts, BBQ_TEXTS)


def _web() -> Iterator[Example]:
    pages = load_rows("llamafactory_demo", "c4_demo.jsonl") + load_rows("llamafactory_demo", "wiki_demo.txt")
    return _harmless("llamafactory_demo", (s for page in pages for s in _sentences(page["text"])), WEB_TEXTS)


def _books() -> Iterator[Example]:
    books = (load_text("classic_books", file) for file in SOURCES["classic_books"].files)
    return _harmless("classic_books", (s for book in books for s in _sentences(book)), BOOK_TEXTS)


def _identity() -> Iterator[Example]:
    for text, toxic in identity_sentences():
        yield Example(text=text, toxic=toxic, source="identity sentences", part="fit")


def _hatecheck() -> Iterator[Example]:
    for row in load_rows("hatecheck", "test_suite_cases.csv"):
        hateful = row["label_gold"] == "hateful"
        yield Example(
            text=row["test_case"], toxic=hateful, source=f"hatecheck/{row['functionality']}", part="test"
        )


def _harmless(source: str, texts: Iterable[str], most: int) -> Iterator[Example]:
    """The ``most`` texts that come first by their digest: a sample that needs no random generator."""
    for text in sorted(set(texts), key=lambda t: (place(t), t))[:most]:
        yield Example(text=text, toxic=False, source=source, part="fit")


def _sentences(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        if 20 < len(sentence.strip()) < 400:
            yield sentence.strip()
