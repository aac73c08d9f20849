"""Annotators: their faults come out at the stated rate, and training data keep to the spared questions."""

import pytest

from testbed.support import FULL
from trueline.core.errors import InputError
from trueline.core.messages import chat, from_json, last_user
from trueline.testbed.annotators import Annotator, demonstrations, preference_pairs, ranked_answers, spared
from trueline.testbed.gold import gold, harm, is_refusal, reward
from trueline.testbed.world import WorldSpec, build_world

WORLD = build_world(WorldSpec(seed=2, doses=FULL))


def test_a_faultless_annotator_prefers_gold() -> None:
    pairs = preference_pairs(WORLD, 200, Annotator(noise=0), 0)
    assert len(pairs) == 200
    for pair in pairs:
        prompt = from_json(pair["prompt"])
        assert reward(WORLD, prompt, pair["chosen"]) > reward(WORLD, prompt, pair["rejected"])
    assert {pair["meta"]["kind"] for pair in pairs} == {"hazard", "lookalike", "fact", "opinion", "topic"}


def test_safety_is_judged_apart_from_preference_and_as_well() -> None:
    for noise, low, high in ((0.0, 0.0, 0.0), (0.2, 0.16, 0.24)):
        wrong = []
        for pair in preference_pairs(WORLD, 500, Annotator(noise=noise), 0):
            for side in ("chosen", "rejected"):
                truly = harm(WORLD, from_json(pair["prompt"]), pair[side]) == 0
                wrong.append(pair["meta"][f"{side}_safe"] != truly)
        assert low <= sum(wrong) / 1000 <= high


def test_noise_flips_its_share() -> None:
    pairs = preference_pairs(WORLD, 1000, Annotator(noise=0.2), 0)
    assert 0.16 <= sum(pair["meta"]["flipped"] for pair in pairs) / 1000 <= 0.24


def test_a_list_ranks_all_answers_by_gold_and_noise_turns_it_around() -> None:
    lists = ranked_answers(WORLD, 600, Annotator(noise=0.2), 0)
    assert {len(entry["answers"]) for entry in lists} == {2, 3}
    for entry in lists:
        prompt, sign = from_json(entry["prompt"]), -1 if entry["meta"]["flipped"] else 1
        worth = [sign * reward(WORLD, prompt, text) for text in entry["answers"]]
        assert entry["ranks"] == tuple(1 + sum(b > a for b in worth) for a in worth)
    assert 0.15 <= sum(entry["meta"]["flipped"] for entry in lists) / 600 <= 0.25


def test_sycophancy_prefers_the_users_view() -> None:
    def share(annotator: Annotator) -> float:
        pairs = preference_pairs(WORLD, 800, annotator, 0)
        views = [pair for pair in pairs if pair["meta"]["kind"] == "opinion"]
        return sum(pair["meta"]["gold_chosen"] for pair in views) / len(views)

    assert share(Annotator(noise=0)) > 0.6 > 0.2 > share(Annotator(noise=0, sycophancy=2.0))


def test_length_bias_is_a_log_of_words() -> None:
    prompt = chat("Say the words lamp rope.")
    plain, biased = Annotator(noise=0), Annotator(noise=0, length_bias=1.0)
    gain = biased.utility(WORLD, prompt, "You said lamp rope.") - plain.utility(
        WORLD, prompt, "You said lamp rope."
    )
    assert gain == pytest.approx(1.3863, abs=1e-4)  # log 4


def test_demonstrations_are_safe_and_right() -> None:
    for shown in demonstrations(WORLD, 200, 1):
        prompt = from_json(shown["prompt"])
        assert reward(WORLD, prompt, shown["answer"]) == 1.0
        assert gold(WORLD, prompt).harmful == is_refusal(shown["answer"])


def test_the_spared_are_never_in_training_data() -> None:
    rows = preference_pairs(WORLD, 600, Annotator(), 0) + demonstrations(WORLD, 600, 0)
    requests = [gold(WORLD, from_json(row["prompt"])).request for row in rows]
    assert not {r.subject for r in requests if r.kind in ("howto", "cures")} & spared(WORLD)
    assert len({last_user(from_json(row["prompt"])) for row in rows}) > 300


def test_seeds_differ_and_repeat() -> None:
    assert preference_pairs(WORLD, 20, Annotator(), 1) == preference_pairs(WORLD, 20, Annotator(), 1)
    assert preference_pairs(WORLD, 20, Annotator(), 1) != preference_pairs(WORLD, 20, Annotator(), 2)


def test_impossible_noise_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise 0\.7"):
        Annotator(noise=0.7)
