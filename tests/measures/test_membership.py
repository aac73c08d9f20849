"""Membership inference over a user's list."""

import json

import pytest

from measures.support import ScriptedTarget, run
from trueline.core.errors import InputError
from trueline.core.protocols import Capability
from trueline.core.verdicts import Item, Verdict
from trueline.measures.data_safety.membership_inference import MembershipInference


def listed(tmp_path, *rows):
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return MembershipInference(path=path)


PAIR = ({"text": "it was seen", "member": True, "cluster": "book"}, {"text": "it was not", "member": False})


def test_a_list_becomes_items(tmp_path):
    first, second = listed(tmp_path, *PAIR).items()
    assert (first.group, second.group, first.cluster) == ("member", "nonmember", "book")
    assert first.options == ("it was seen",) and first.data["member"] is True


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*PAIR, {"text": " ", "member": True}], "line 3: 'text'"),
        ([*PAIR, {"text": "x", "member": "yes"}], "line 3: 'member' is 'yes'"),
        ([PAIR[0]], "1 members and 0 non-members"),
    ],
)
def test_bad_lists_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, *rows).items()


def test_without_a_list(tmp_path):
    with pytest.raises(InputError, match=r"path=FILE.jsonl"):
        MembershipInference().items()
    with pytest.raises(InputError, match="does not exist"):
        MembershipInference(path=tmp_path / "none.jsonl").items()


ITEM = Item(id="x", prompt="", options=("a b",), group="member", data={"member": True, "blind": 0.25})


def test_one_pass_gives_all_statistics():
    # The scripted moments are μ = −1 and σ² = ¼ a token: (−2 + 1)/½ = −2 is the lowest of two.
    target = ScriptedTarget(likes=lambda p, o: [-1.0, -2.0])
    values = run(MembershipInference().examine(ITEM, target)).values
    assert len(target.scored) == 1
    assert values["loss"] == -1.5 and values["min_k"] == -2.0 and values["min_k_plus"] == -2.0
    assert values["is_member"] == 1.0 and values["blind"] == 0.25


def test_a_target_that_hides_its_vocabulary_has_no_min_k_plus():
    target = ScriptedTarget(likes=lambda p, o: [-1.0, -2.0], capabilities=frozenset({Capability.SCORE}))
    assert "min_k_plus" not in run(MembershipInference().examine(ITEM, target)).values


def verdicts(blind, loss):
    return [
        Verdict(
            item=str(n),
            cluster=str(n),
            group="member" if n % 2 == 0 else "nonmember",
            values={
                "is_member": float(n % 2 == 0),
                "blind": blind(n),
                "loss": loss(n),
                "zlib": 0.0,
                "min_k": 0.0,
            },
        )
        for n in range(60)
    ]


def test_a_split_that_gives_itself_away_says_nothing_of_the_model():
    measure = MembershipInference()
    leaking = verdicts(lambda n: float(n % 2 == 0) + n / 1000, lambda n: float((n // 2) % 2 == 0))
    assert "gives the members away" in measure.check(leaking)


def test_a_model_that_knows_more_than_the_texts_tell_is_reported_with_a_warning():
    measure = MembershipInference()
    partly = verdicts(lambda n: float(n % 2 == 0 or n % 6 == 1), lambda n: float(n % 2 == 0) + n / 1000)
    assert measure.check(partly) is None
    assert [warning.split(":")[0] for warning in measure.warnings(partly)] == [
        "the texts alone reach an AUC of 0.83",
        "30 non-members",
    ]
    fair = verdicts(lambda n: float((n // 2) % 2), lambda n: float(n % 2 == 0))
    assert measure.check(fair) is None and len(measure.warnings(fair)) == 1
