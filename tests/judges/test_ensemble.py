"""Voting by hand: majority, mean, ties, and members that fail."""

import asyncio

import pytest
from test_card import Table

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.ensemble import Ensemble
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


def test_by_name_and_bad_input() -> None:
    judge = build_judge({"judge": "ensemble", "members": ["refusal_patterns", "refusal_keywords"]})
    assert [m.name for m in judge.members] == ["refusal-patterns", "refusal-keywords"]
    with pytest.raises(InputError, match="at least two members"):
        build_judge({"judge": "ensemble", "members": ["refusal_patterns"]})
    with pytest.raises(InputError, match="majority or mean"):
        Ensemble(members=judge.members, by="vote")
