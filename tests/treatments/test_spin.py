"""Self-play: the given answers win over the opponent's, iteration after iteration; kept answers, resuming, refusals."""

import asyncio
import json

import pytest
import tiny_folder

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Resources
from trueline.models.local import LocalTarget
from trueline.treatments.spin import SelfPlayFineTuning

DIALS = {"learning_rate": 3e-3, "epochs": 1, "batch_size": 4, "answer_tokens": 40, "iterations": 2}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def resources(folder, **more):
    return Resources(workdir=folder, **{"demonstrations": tiny_folder.demonstrations(), **more})


def likelihood(target):
    return asyncio.run(target.score(chat("w1 w2"), ["w30 w31"]))[0].logprob


def drawn(folder):
    """The kept lines of each iteration."""
    files = [file.read_text().splitlines() for file in folder.glob("spin-*.jsonl")]
    read = [[json.loads(line) for line in lines] for lines in files]
    return {rows[0]["about"]["iteration"]: (rows[0]["about"], rows[1:]) for rows in read}


def test_the_given_answers_win_and_each_opponent_is_the_model_before(target, tmp_path):
    treated = SelfPlayFineTuning(**DIALS).apply(target, resources(tmp_path))
    assert likelihood(treated) > likelihood(target) + 0.1
    told, kept = treated.describe(), drawn(tmp_path)
    assert treated.name == f"{target.name} + spin" and len(told["treatments"]) == 1
    assert kept[0][0]["opponent"] == target.fingerprint() != kept[1][0]["opponent"]
    pairs = sum(row["reason"] is None for row in kept[0][1])
    assert len(kept[0][1]) == 12 and told["rounds"][0]["pairs"] == pairs > 0
    assert pairs + sum(told["rounds"][0]["not used"].values()) == 12
    assert told["training"]["steps"] == sum(line["training"]["steps"] for line in told["rounds"])
    (first, _) = sorted(tmp_path.glob("spin-*/manifest.json"), key=lambda file: file.stat().st_mtime_ns)
    # drawing is charged beside training
    assert told["rounds"][0]["training"]["flops"] > json.loads(first.read_text())["training"]["flops"]


def test_a_killed_game_goes_on_and_draws_nothing_again(target, tmp_path):
    class Killed(BaseException):
        """Stands for the process's death."""

    def die(done, total, words):
        if words.startswith("self-play 2") and done > 3:
            raise Killed

    method = SelfPlayFineTuning(**DIALS)
    whole = method.apply(target, resources(tmp_path / "whole"))
    with pytest.raises(Killed):
        method.apply(target, resources(tmp_path / "killed", progress=die))
    before = {rows[0]["iteration"]: rows[1] for rows in drawn(tmp_path / "killed").values()}
    resumed = method.apply(target, resources(tmp_path / "killed"))
    assert resumed.fingerprint() == whole.fingerprint()
    after = drawn(tmp_path / "killed")
    assert after[0][1] == before[0] and after[1][1][: len(before[1])] == before[1]


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"iterations": 0}, "iterations 0 is not allowed"),
        ({"beta": 0.0}, "beta"),
        ({"budget": {"flops": 1e9}}, "a budget is not supported: give epochs or steps"),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(InputError, match=message):
        SelfPlayFineTuning(**{**DIALS, **dials})


def test_an_opponent_that_never_ends_is_one_sentence(target, tmp_path):
    short = SelfPlayFineTuning(**{**DIALS, "answer_tokens": 1})
    with pytest.raises(InputError, match=r"no pair to learn from.*truncated.*raise answer_tokens 1"):
        short.apply(target, resources(tmp_path))
