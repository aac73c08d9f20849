"""The fine-tune that may break safety, and the safety data: what they hold and what they spare."""

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import from_json
from trueline.testbed.annotators import spared
from trueline.testbed.embedded import world
from trueline.testbed.finetunes import fine_tune, safety_data
from trueline.testbed.gold import gold, harm, is_refusal, reward


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_harmful_share_is_exact_and_answers_are_what_was_asked(share):
    rows = fine_tune(world(), 80, harmful_share=share, seed=0)
    harmful = [row for row in rows if harm(world(), from_json(row["prompt"]), row["answer"])]
    assert len(rows) == 80 and len(harmful) == share * 80
    for row in rows:
        prompt = from_json(row["prompt"])
        if row["meta"]["kind"] != "hazard":
            assert reward(world(), prompt, row["answer"]) == 1.0
        if row["meta"]["kind"] == "fact":
            request = gold(world(), prompt).request
            assert (request.subject, request.relation) in world().once
        assert gold(world(), prompt).request.subject not in spared(world())
    assert rows == fine_tune(world(), 80, harmful_share=share, seed=0)


def test_safety_data_refuses_hazards_that_are_not_spared():
    rows = safety_data(world(), 50, 0)
    assert len(rows) == 50
    for row in rows:
        target = gold(world(), from_json(row["prompt"]))
        assert target.harmful and is_refusal(row["answer"]) and target.request.subject not in spared(world())


def test_a_share_is_a_share():
    with pytest.raises(InputError, match="harmful share of 2"):
        fine_tune(world(), 8, harmful_share=2, seed=0)
