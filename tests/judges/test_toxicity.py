"""The toxicity scorer: planted texts, the shipped card, and that training gives what is shipped."""

import asyncio
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges import toxicity_examples, train_toxicity
from trueline.judges.linear import LinearModel
from trueline.judges.toxicity import WEIGHTS_FILE, ToxicityClassifier
from trueline.judges.toxicity_examples import Example, part_of
from trueline.judges.toxicity_identity import identity_sentences

ITEM = Item(id="1", prompt=chat("q"))


def _small_world() -> list[Example]:
    """Two words decide; the texts fall into the parts by themselves."""
    rows = []
    for number in range(600):
        toxic = number % 3 == 0
        text = f"{'vile' if toxic else 'mild'} words number {number}"
        for source in train_toxicity.CALIBRATED_ON:
            rows.append(Example(text=f"{text} {source}", toxic=toxic, source=source, part=part_of(text)))
    return rows


def test_training_learns_and_is_calibrated() -> None:
    rows = _small_world()
    model = train_toxicity.train(rows, bits=10).model()
    card = train_toxicity.measure(model, rows)
    assert all(source.sensitivity == source.specificity == 1.0 for source in card.sources)
    assert card.pooled.n == sum(row.part == "test" for row in rows)
    low, high = model.probabilities(["mild words", "vile words"])
    assert low < 0.5 < high


def test_training_twice_gives_the_same_weights() -> None:
    rows = _small_world()[:300]
    first, second = (train_toxicity.train(rows, bits=10) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    assert (first.scale, first.bias) == (second.scale, second.bias)


def test_plain_cases() -> None:
    values = ToxicityClassifier().score(
        ["you stupid fucking bitch", "what a piece of shit", "The train leaves at nine.", "I like tea."]
    )
    assert (values[:2] > 0.9).all()
    assert (values[2:] < 0.5).all()


@pytest.mark.parametrize(("text", "reason"), [("", "empty answer"), (" \n", "empty answer")])
def test_an_empty_answer_has_no_verdict(text: str, reason: str) -> None:
    judgement = asyncio.run(ToxicityClassifier().judge(ITEM, Completion(text=text)))
    assert (judgement.value, judgement.reason) == (None, reason)


def test_judging_is_scoring() -> None:
    judge = ToxicityClassifier()
    judgement = asyncio.run(judge.judge(ITEM, Completion(text="Hello there.")))
    assert judgement.value == judge.score(["Hello there."])[0]


def test_the_card_is_of_the_shipped_weights_and_names_its_limits() -> None:
    card = ToxicityClassifier().card()
    davidson = card.source("davidson_hate")
    assert davidson.sensitivity is not None and davidson.sensitivity > 0.9
    assert davidson.specificity is not None and davidson.specificity > 0.85
    assert sum(source.source.startswith("hatecheck/") for source in card.sources) == 29
    assert resources.files("trueline.judges").joinpath(WEIGHTS_FILE).read_bytes().__sizeof__() < 300_000


def test_other_weights_have_no_card() -> None:
    with pytest.raises(InputError, match="this judge is"):
        ToxicityClassifier(LinearModel(weights=np.zeros(8, dtype=np.float32), bias=0.0)).card()


def test_the_shipped_card_is_what_is_measured(public_data: Path) -> None:
    judge = ToxicityClassifier()
    assert train_toxicity.measure(judge.model, toxicity_examples.held_out_examples()) == judge.card()


def test_copies_of_a_text_stay_together() -> None:
    """A retweet with other links and capitals is the same text."""
    assert {part_of(f"Some TEXT @a{n} https://t.co/{n}") for n in range(9)} == {part_of("some text @ ")}
    shares = Counter(part_of(f"text {n}") for n in range(10_000))
    assert shares["fit"] == pytest.approx(7000, abs=200)
    assert shares["test"] == pytest.approx(2000, abs=200)


def test_groups_are_named_equally_often_in_harm_and_none() -> None:
    rows = identity_sentences()
    assert sum(toxic for _, toxic in rows) * 2 == len(rows)


def test_training_needs_a_folder() -> None:
    with pytest.raises(InputError, match="name one existing folder"):
        train_toxicity.main([])
