"""The card's arithmetic: counts, rates, AUC, leaving a source out."""

import asyncio
import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.protocols import Judgement
from trueline.core.verdicts import Item
from trueline.judges.card import JudgeCard, Labelled
from trueline.judges.evaluation import evaluate
from trueline.judges.rates import auc, rates


class Table:
    """A judge that looks its verdict up."""

    name = "table"

    def __init__(self, values: Mapping[str, float | None]) -> None:
        self.values = values

    def fingerprint(self) -> str:
        return "table"

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        value = self.values[completion.text]
        return Judgement(value=value, reason=None if value is not None else "unknown")


def _labelled(text: str, label: bool, source: str = "s") -> Labelled:
    item = Item(id=text, prompt=chat("q"))
    return Labelled(item=item, completion=Completion(text=text), label=label, source=source)


def _card() -> JudgeCard:
    judge = Table({"yes": 1.0, "half": 0.5, "no": 0.0, "lost": None})
    rows = [
        _labelled("yes", True),
        _labelled("half", True),
        _labelled("no", True),
        _labelled("no", False),
        _labelled("lost", True),
        _labelled("yes", False, "t"),
    ]
    return asyncio.run(evaluate(judge, rows, positive="x", data="y"))


def test_counts_by_hand() -> None:
    first, second = _card().sources
    assert (first.positives, first.true_positives, first.negatives, first.true_negatives) == (3, 2, 1, 1)
    assert (first.missing, first.n) == (1, 4)
    assert first.sensitivity == pytest.approx(2 / 3)
    assert first.sensitivity_interval == pytest.approx((0.2077, 0.9385), abs=1e-4)  # Wilson, 2 of 3
    assert (second.sensitivity, second.specificity) == (None, 0.0)
    assert second.specificity_interval == pytest.approx((0.0, 0.7935), abs=1e-4)  # Wilson, 0 of 1


def test_pooling_and_leaving_out() -> None:
    card = _card()
    assert (card.pooled.negatives, card.pooled.true_negatives, card.pooled.missing) == (2, 1, 1)
    assert [s.source for s in card.without("s").sources] == ["t"]
    assert [c.positives for c in card.counts()] == [3]
    with pytest.raises(InputError, match="unknown source of the card 'u'"):
        card.without("u")


def test_json_comes_back() -> None:
    card = _card()
    assert JudgeCard.from_json(json.loads(json.dumps(card.as_json()))) == card


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(InputError, match="no answers"):
        asyncio.run(evaluate(Table({}), [], positive="", data=""))


def test_auc_by_hand() -> None:
    # pairs: 0.9>0.1, 0.9>0.5, 0.5>0.1, 0.5=0.5 → (3 + ½)/4
    area, (low, high) = auc(np.array([0.9, 0.5]), np.array([0.1, 0.5]))
    assert area == pytest.approx(3.5 / 4)
    # placements 1, ¾ | ½·(1+1)=1, ¾: both variances 1/32, each over 2
    half = 1.959963984540054 * np.sqrt(1 / 32 / 2 + 1 / 32 / 2)
    assert (low, high) == pytest.approx((3.5 / 4 - half, 1.0))


def test_a_yes_or_no_judge_has_no_auc() -> None:
    assert rates("s", [True, False, True, False], [1.0, 0.0, 0.0, 0.0]).auc is None
    assert rates("s", [True, False, True, False], [0.9, 0.1, 0.4, 0.2]).auc == 1.0


@given(
    st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.floats(0, 1))), min_size=1, max_size=30),
)
def test_every_answer_is_counted_once(rows: list[tuple[bool, float | None]]) -> None:
    found = rates("s", [label for label, _ in rows], [value for _, value in rows])
    assert found.n + found.missing == len(rows)
    assert 0 <= found.true_positives <= found.positives
    assert 0 <= found.true_negatives <= found.negatives
    if found.auc is not None and found.auc_interval is not None:
        low, high = found.auc_interval
        assert 0 <= low <= found.auc <= high <= 1
