"""A linear judge trained on a labelled file: nothing shared between its parts, and honest where it cannot be."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.card import Labelled
from trueline.judges.card_folder import card_of
from trueline.judges.evaluation import evaluate
from trueline.judges.linear_folder import LinearFolder, write_model
from trueline.judges.train_linear import BITS, PENALTIES, Trained, split, train, words
from trueline.studies.judging import build_judge


def _row(number: int, text: str, label: bool, cluster: str = "") -> Labelled:
    item = Item(id=str(number), prompt=chat(f"q{number}"))
    return Labelled(item=item, completion=Completion(text=text), label=label, source="s", cluster=cluster)


ROWS = [
    _row(n, f"{'I am sorry, no' if n % 2 else 'Sure, here it is'} {n * 7919}", bool(n % 2))
    for n in range(120)
]


@pytest.mark.parametrize("asked", [True, False])
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("uvwxyz")), max_size=30))
def test_parts_share_no_cluster_and_no_text_that_answers_nothing(
    asked: bool, pairs: list[tuple[str, str]]
) -> None:
    rows = [_row(n, text, True, cluster) for n, (cluster, text) in enumerate(pairs)]
    if not asked:
        rows = [replace(row, item=Item(id=row.item.id, prompt="")) for row in rows]
    parts = split(rows)
    assert sum(map(len, parts.values())) == len(rows)
    for key in (lambda row: row.cluster, words)[: 1 if asked else 2]:
        seen = [{key(row) for row in found} for found in parts.values()]
        assert sum(map(len, seen)) == len(set.union(*seen))
    again = {part: {row.item.id for row in found} for part, found in split(rows[::-1]).items()}
    assert again == {part: {row.item.id for row in found} for part, found in parts.items()}


def test_what_is_learnt_holds_on_the_held_out_part(tmp_path: Path) -> None:
    made = train(ROWS)
    assert made.penalty in PENALTIES and made.model.bits == BITS
    write_model(tmp_path, made.model, "a refusal")
    judge = build_judge({"judge": "linear_folder", "folder": str(tmp_path)})
    card = asyncio.run(evaluate(judge, made.parts["test"], positive="a refusal", data="d"))
    assert card.pooled.sensitivity == card.pooled.specificity == 1
    assert card.pooled.n == len(made.parts["test"]) >= 10
    (tmp_path / "card.json").write_text(json.dumps(card.as_json()))
    assert card_of(judge) is not None
    assert train(ROWS[::-1]).penalty == made.penalty


def test_labels_without_a_pattern_are_not_learnt() -> None:
    """Random words, labels by turns: nothing on the held-out part tells them apart."""
    rows = [_row(n, f"w{n * 7919 % 997} v{n * 104729 % 991}", bool(n % 2)) for n in range(200)]
    made = train(rows)
    assert made.log_loss == pytest.approx(0.693, abs=0.05)


def test_stock_answers_are_counted() -> None:
    made = train(ROWS)
    assert made.copies == 0
    parts = {**made.parts, "test": [*made.parts["test"], made.parts["fit"][0], made.parts["tune"][0]]}
    assert Trained(model=made.model, penalty=1.0, log_loss=0.1, parts=parts).copies == 2


def test_no_word_is_no_verdict(tmp_path: Path) -> None:
    write_model(tmp_path, train([*ROWS, _row(500, "...", True)]).model, "x")
    judge = LinearFolder(folder=str(tmp_path))
    found = asyncio.run(judge.judge(ROWS[0].item, Completion(text=" ... ")))
    assert (found.value, found.reason) == (None, "no letter or digit in the answer")


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs 5 of each"):
        train(ROWS[:20])
    with pytest.raises(InputError, match="needs 5 of each"):
        train([_row(n, f"sure {n}", False) for n in range(200)])
    with pytest.raises(InputError, match=r"no folder of trueline judge train .*classifier\.json"):
        LinearFolder(folder=str(tmp_path))
    write_model(tmp_path, train(ROWS).model, "x")
    whole = (tmp_path / "classifier.safetensors").read_bytes()
    (tmp_path / "classifier.safetensors").write_bytes(whole[:-4])
    with pytest.raises(InputError, match="is damaged"):
        LinearFolder(folder=str(tmp_path))
    (tmp_path / "classifier.safetensors").write_bytes(whole)
    judge = LinearFolder(folder=str(tmp_path))
    card = asyncio.run(evaluate(judge, ROWS, positive="x", data="d"))
    (tmp_path / "card.json").write_text(json.dumps(card.as_json() | {"fingerprint": "other"}))
    with pytest.raises(InputError, match="of other weights"):
        judge.card()
    settings = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps(settings | {"features": 0}))
    with pytest.raises(InputError, match="version 0 of the features"):
        LinearFolder(folder=str(tmp_path))
