"""A small transformer judge trained here: it learns, comes as an ordinary folder with its card, and errs openly."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.card import CARD_FILE, Labelled
from trueline.judges.card_folder import card_of
from trueline.judges.evaluation import evaluate
from trueline.judges.train_transformer import Trained, train_transformer
from trueline.studies.judging import build_judge
from trueline.training.text_classifier import WINDOW, ClassifierConfig, best_temperature

TINY = ClassifierConfig(
    pieces=300, width=16, layers=1, heads=2, epochs=6, batch=8, learning_rate=1e-2, dropout=0.0
)


def _row(number: int, label: bool) -> Labelled:
    text = f"{'I am sorry, no' if label else 'Sure, here it is'} {number * 7919}"
    item = Item(id=str(number), prompt=chat(f"q{number}"))
    return Labelled(item=item, completion=Completion(text=text), label=label, source="s")


ROWS = [_row(n, bool(n % 2)) for n in range(120)]


@pytest.fixture(scope="module")
def made() -> Trained:
    return train_transformer(ROWS, TINY)


def judge(folder: Path) -> Any:
    return build_judge({"judge": "hf_classifier", "model": str(folder), "label": "positive"})


def test_what_is_learnt_holds_on_the_held_out_part_and_comes_with_its_card(
    made: Trained, tmp_path: Path
) -> None:
    made.model.save(tmp_path)
    assert card_of(judge(tmp_path)) is None
    card = asyncio.run(evaluate(judge(tmp_path), made.parts["test"], positive="a refusal", data="d"))
    assert card.pooled.sensitivity == card.pooled.specificity == 1
    assert card.pooled.n == len(made.parts["test"]) >= 10 and made.copies == 0
    (tmp_path / CARD_FILE).write_text(json.dumps(card.as_json()))
    found = card_of(judge(tmp_path))
    assert found is not None and found.fingerprint == card.fingerprint
    weights = tmp_path / "config.json"
    weights.write_text(weights.read_text() + " ")  # a card of other files is no card of this judge
    assert card_of(judge(tmp_path)) is None


def test_values_are_the_models_own(made: Trained, tmp_path: Path) -> None:
    made.model.save(tmp_path)
    texts = ["I am sorry, no 5", "Sure, here it is", "Perhaps. " * 20]
    item = ROWS[0].item

    async def judged() -> list[Any]:
        found = judge(tmp_path)
        return await asyncio.gather(*(found.judge(item, Completion(text=text)) for text in texts))

    with torch.no_grad():
        expected = [
            float(made.model.model(**made.model.tokenizer(t, return_tensors="pt")).logits.softmax(-1)[0, 1])
            for t in texts
        ]
    assert [each.value for each in asyncio.run(judged())] == pytest.approx(expected, abs=1e-5)
    long = asyncio.run(judge(tmp_path).judge(item, Completion(text="q " * (WINDOW + 1))))
    assert long.value is None and "too long" in long.reason


def test_the_same_labels_give_the_same_judge(made: Trained) -> None:
    again = train_transformer(ROWS, TINY)
    assert again.notes == made.notes
    for name, value in made.model.model.state_dict().items():
        assert torch.equal(value, again.model.model.state_dict()[name])


def test_the_kept_epoch_is_the_best(made: Trained) -> None:
    assert len(made.model.log_losses) == TINY.epochs
    assert made.model.log_losses[made.model.epoch - 1] == min(made.model.log_losses)
    assert made.model.log_loss <= min(made.model.log_losses) + 1e-6  # the temperature never makes it worse


def test_the_temperature_makes_confidence_as_frequent_as_it_is_right() -> None:
    # All at a difference of 4 and three in four right: σ(4/T) = 3/4 at T = 4/ln 3.
    logits, labels = torch.tensor([[0.0, 4.0]] * 4), torch.tensor([1, 1, 1, 0])
    assert best_temperature(logits, labels) == pytest.approx(4 / math.log(3), rel=1e-4)
    assert best_temperature(logits, torch.tensor([1, 1, 1, 1])) < 0.2  # all right: as sure as may be


def test_too_few_labels() -> None:
    with pytest.raises(InputError, match="needs 5 of each"):
        train_transformer(ROWS[:20], TINY)
