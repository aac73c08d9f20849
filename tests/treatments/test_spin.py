"""Self-play: the given answers win over the opponent's, iteration after iteration; kept answers, resuming, refusals."""

import asyncio
import json

import pytest
import tiny_folder

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Resources
from trueline.models.local import LocalTarget
from trueline.treatments.spin import SelfPlayFineTuning, round_budget

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
    # drawing is charged beside training: prompts of 5 tokens and what was said, each token attending to those before
    parameters = sum(p.numel() for p in target.model.parameters())
    lengths = [row["read"] + row["drawn"] for iteration in kept.values() for row in iteration[1]]
    drawing = sum(2 * parameters * n + 4 * 2 * 32 * n * (n + 1) / 2 for n in lengths)
    assert told["training"]["flops"] == drawing + sum(line["training"]["flops"] for line in told["rounds"])
    reference = sum(line["training"]["flops_before"] for line in told["rounds"])
    assert told["training"]["flops_before"] == drawing + reference > drawing > 0


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


def test_a_rounds_part_of_the_budget_by_hand():
    # of 100, 10 for the first drawing and 2 · 10 set aside for the others: 70, a third each
    assert round_budget(100, spent=10, drawing=10, rounds=3) == pytest.approx(70 / 3)
    # the first round spent 10 + 23, the second draws for 12: 100 − 45 − 12 = 43
    assert round_budget(100, spent=45, drawing=12, rounds=2) == 21.5
    assert round_budget(100, spent=90, drawing=8, rounds=1) == 10


@pytest.mark.parametrize("currency", ["flops", "tokens"])
def test_all_rounds_share_one_budget(target, tmp_path, currency):
    free = SelfPlayFineTuning(**DIALS).apply(target, resources(tmp_path)).describe()
    amount = 2.5 * free["training"][currency]
    method = SelfPlayFineTuning(**{**DIALS, "epochs": 2.0}, budget={currency: amount})
    treated = method.apply(target, resources(tmp_path))
    told = treated.describe()
    parts = [line["training"][currency] for line in told["rounds"]]
    step = max(line["training"][currency] / line["training"]["steps"] for line in told["rounds"])
    assert amount - 3 * step < told["training"][currency] <= amount
    assert min(parts) > 0.3 * amount and len(parts) == 2
    assert method.apply(target, resources(tmp_path)).fingerprint() == treated.fingerprint()
    if currency == "flops":
        with pytest.raises(InputError, match=r"leaves nothing to train with.*in each of 1 further rounds"):
            SelfPlayFineTuning(**DIALS, budget={"flops": 1e5}).apply(target, resources(tmp_path))


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"iterations": 0}, "iterations 0 is not allowed"),
        ({"beta": 0.0}, "beta"),
        ({"budget": {"seconds": 3}}, "a budget in seconds is not supported"),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(InputError, match=message):
        SelfPlayFineTuning(**{**DIALS, **dials})


def test_an_opponent_that_never_ends_is_one_sentence(target, tmp_path):
    short = SelfPlayFineTuning(**{**DIALS, "answer_tokens": 1})
    with pytest.raises(InputError, match=r"no pair to learn from.*truncated.*raise answer_tokens 1"):
        short.apply(target, resources(tmp_path))
