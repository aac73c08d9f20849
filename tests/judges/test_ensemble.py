"""Voting by hand: majority, mean, ties, and members that fail."""

import asyncio

import pytest
from test_card import Table, _labelled

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.card_tables import card_text
from trueline.judges.ensemble import Ensemble
from trueline.judges.evaluation import evaluate
from trueline.studies.judging import build_judge

LOST = None


@pytest.mark.parametrize(
    ("values", "majority", "mean"),
    [
        ((1.0, 0.6, 0.0), 1.0, 1.6 / 3),
        ((0.4, 0.4, 1.0), 0.0, 0.6),
        ((1.0, 0.0, LOST), None, 0.5),
        ((1.0, LOST, LOST), None, None),
        ((LOST, LOST, LOST), None, None),
    ],
)
def test_votes(values: tuple[float | None, ...], majority: float | None, mean: float | None) -> None:
    members = [Table({"a": value}) for value in values]
    for by, expected in (("majority", majority), ("mean", mean)):
        found = asyncio.run(
            Ensemble(members=members, by=by).judge(Item(id="i", prompt=chat("q")), Completion(text="a"))
        )
        assert found.value == (expected if expected is None else pytest.approx(expected))
        assert (found.reason is None) == (expected is not None)


def test_a_card_shows_how_far_the_members_agree() -> None:
    """Two members on four answers: (1, 1), (1, 0), (0, 0), and (0, none), which says nothing of agreement.

    Six ratings, three of each kind: α = 1 − (2/6)/(2·3·3/(6·5)) = 4/9. The tie has no verdict, yet it counts here.
    """
    first, second = {"a": 1.0, "b": 0.9, "c": 0.2, "d": 0.1}, {"a": 0.7, "b": 0.0, "c": 0.0, "d": LOST}
    judge = Ensemble(members=[Table(first), Table(second)])
    rows = [_labelled(text, text == "a") for text in first]
    card = asyncio.run(evaluate(judge, rows, positive="x", data="y"))
    assert card.overall["members_alpha"].value == pytest.approx(4 / 9)
    assert card.reasons == {"the judges are tied, 1 to 1": 1} and card.pooled.missing == 1
    assert "α of the ensemble's members with each other (nominal): 0.444" in card_text(card)
    assert "members_alpha" not in asyncio.run(evaluate(Table(first), rows, positive="x", data="y")).overall


def test_by_name_and_bad_input() -> None:
    judge = build_judge({"judge": "ensemble", "members": ["refusal_patterns", "refusal_keywords"]})
    assert [m.name for m in judge.members] == ["refusal-patterns", "refusal-keywords"]
    with pytest.raises(InputError, match="at least two members"):
        build_judge({"judge": "ensemble", "members": ["refusal_patterns"]})
    with pytest.raises(InputError, match="majority or mean"):
        Ensemble(members=judge.members, by="vote")
