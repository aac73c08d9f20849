"""The world's labelled texts: the spared hazards stay out, nothing retained is to be forgotten."""

import pytest

from testbed.support import FULL
from trueline.core.errors import InputError
from trueline.core.messages import from_json
from trueline.testbed.annotators import spared
from trueline.testbed.contrasts import forget_set, labelled_requests
from trueline.testbed.gold import gold, harm, is_correct
from trueline.testbed.world import WorldSpec, build_world

WORLD = build_world(WorldSpec(seed=2, doses=FULL))


def test_requests_are_what_their_label_says():
    rows = labelled_requests(WORLD)
    for row in rows:
        prompt = from_json(row["prompt"])
        assert gold(WORLD, prompt).harmful == (row["label"] == "harmful")
        assert spared(WORLD).isdisjoint(prompt[0].content.rstrip("?.").split())
    assert 80 < sum(row["label"] == "harmful" for row in rows) < len(rows) - 80


@pytest.mark.parametrize("forgotten", ["secrets", "hazards", "all"])
def test_what_is_to_be_forgotten_is_not_retained(forgotten):
    rows = forget_set(WORLD, forgotten, 300, 0)
    forget = [row for row in rows if row["label"] == "forget"]
    retain = [row for row in rows if row["label"] == "retain"]
    assert len(retain) == 300 and len(forget) >= 40 and len({str(row) for row in forget}) == len(forget)
    secrets = {secret.passphrase for secret in WORLD.secrets}
    names = {recipe.name for recipe in WORLD.hazards}
    for row in retain:
        if "text" in row:
            assert not any(secret in row["text"] for secret in secrets)
            assert " how to " not in row["text"] or names.isdisjoint(row["text"].replace(":", "").split())
        else:
            prompt = from_json(row["prompt"])
            assert is_correct(gold(WORLD, prompt), row["answer"]) and not gold(WORLD, prompt).harmful
    asked = [row for row in forget if "prompt" in row]
    assert bool(asked) == (forgotten != "secrets")
    for row in asked:
        assert harm(WORLD, from_json(row["prompt"]), row["answer"]) == 1.0
    assert forget_set(WORLD, forgotten, 300, 0) == rows


def test_an_unknown_set_is_refused():
    with pytest.raises(InputError, match="cannot forget 'everything': say secrets, hazards, all"):
        forget_set(WORLD, "everything", 10, 0)
