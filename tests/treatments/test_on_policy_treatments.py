"""On-policy treatments: a new target that earns more reward, the old one untouched, reuse, refusal."""

import json
from dataclasses import replace

import pytest
import tiny_folder
from toy_target import Echo

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Resources
from trueline.models.local import LocalTarget
from trueline.training.reward_model import load_reward

DIALS = {"learning_rate": 1e-2, "steps": 12, "batch_size": 6, "max_tokens": 4, "reward": "given"}
TREATMENTS = {
    "rloo": {},
    "grpo": {},
    "raft": {},
    "online_dpo": {"samples": 4},
    "remax": {"samples": 2},
    "reinforce_plus_plus": {"samples": 2},
    "safe_rlhf": {"cost_limit": 0.5},
    "ppo": {"samples": 4, "passes": 2, "steps": 24},
}


class LikesLateWords:
    """A reward that rises with the numbers of the words said."""

    def fingerprint(self):
        return "likes late words"

    def __call__(self, prompt, answers):
        said = [[int(word[1:]) for word in answer.split() if word[1:].isdigit()] for answer in answers]
        return [sum(numbers) / (34 * max(1, len(numbers))) for numbers in said]


class DislikesW5:
    """A cost for one word."""

    def fingerprint(self):
        return "dislikes w5"

    def __call__(self, prompt, answers):
        return [float("w5" in answer.split()) for answer in answers]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def resources(folder, **more):
    return Resources(
        workdir=folder,
        **{"preferences": tiny_folder.pairs(), "reward": LikesLateWords(), "cost": DislikesW5(), **more},
    )


def treat(name, target, given, **dials):
    return make("treatment", name, {**DIALS, **TREATMENTS[name], **dials}).apply(target, given)


def history(folder, name):
    (manifest,) = folder.glob(f"{name}-*/manifest.json")
    return json.loads(manifest.read_text())["history"]


@pytest.mark.parametrize("name", TREATMENTS)
def test_the_reward_rises_and_the_old_target_stays(target, tmp_path, name):
    fingerprint = target.fingerprint()
    treated = treat(name, target, resources(tmp_path))
    assert treated.fingerprint() != fingerprint == target.fingerprint()
    lines = history(tmp_path, name)
    first, last = (sum(line["reward"] for line in part) / 4 for part in (lines[:4], lines[-4:]))
    assert last > first + 0.02
    assert all(line["entropy"] >= 0 for line in lines)
    assert {"kl", "length", "repetition", "truncated", "refused"} <= set(lines[0])
    told = treated.describe()
    assert told["training"]["flops"] > 0 and told["data"]["reward"] == "likes late words"
    saved = [n for n, _ in treated.model.named_parameters()]
    assert not [n for n in saved if "value_head" in n or "lora" in n]
    again = treat(name, target, resources(tmp_path))
    assert again.fingerprint() == treated.fingerprint() and len(list(tmp_path.glob(f"{name}-*"))) == 1


def test_a_reward_is_learnt_from_the_preferences_and_gold_is_watched_only(target, tmp_path):
    dials = {"reward": "trained", "reward_learning_rate": 1e-2, "reward_epochs": 8.0}
    treat("rloo", target, resources(tmp_path), **dials)
    lines = history(tmp_path, "rloo")
    assert all(0 <= line["gold"] <= 1 for line in lines) and len(list(tmp_path.glob("reward-*"))) == 1
    assert lines[-1]["reward"] > lines[0]["reward"]
    treat("rloo", target, resources(tmp_path / "blind", reward=None), **dials)
    assert "gold" not in history(tmp_path / "blind", "rloo")[0]


@pytest.mark.parametrize("estimator", ["rloo", "grpo", "remax", "reinforce_plus_plus", "ppo"])
def test_safe_rlhf_takes_any_estimator_and_shows_reward_cost_and_lambda(target, tmp_path, estimator):
    treat("safe_rlhf", target, resources(tmp_path), estimator=estimator, steps=2)
    for line in history(tmp_path, "safe_rlhf"):
        assert {"reward", "cost", "lambda"} <= set(line)
    with pytest.raises(InputError, match="safe_rlhf needs a cost"):
        treat("safe_rlhf", target, resources(tmp_path, cost=None))
    with pytest.raises(InputError, match="estimator 'none' is not known"):
        treat("safe_rlhf", target, resources(tmp_path), estimator="none")


def test_a_cost_is_learnt_from_what_the_pairs_say_of_safety(target, tmp_path):
    pairs = [
        replace(pair, meta={"chosen_safe": True, "rejected_safe": False}) for pair in tiny_folder.pairs()
    ]
    given = resources(tmp_path, preferences=pairs)
    treat("safe_rlhf", target, given, cost="trained", reward_learning_rate=1e-2, reward_epochs=8.0)
    (folder,) = tmp_path.glob("cost-*")
    safe, unsafe = load_reward(folder / "model")(pairs[0].prompt, [pairs[0].chosen, pairs[0].rejected])
    assert safe < 0 < unsafe
    for line in history(tmp_path, "safe_rlhf"):
        assert {"cost", "gold_cost", "lambda"} <= set(line) and 0 <= line["gold_cost"] <= 1
    with pytest.raises(InputError, match="row 0 does not say which of its answers are safe"):
        treat("safe_rlhf", target, resources(tmp_path), cost="trained")


def test_training_the_reward_and_the_cost_comes_off_the_budget(target, tmp_path):
    pairs = [
        replace(pair, meta={"chosen_safe": True, "rejected_safe": False}) for pair in tiny_folder.pairs()
    ]
    given = resources(tmp_path, preferences=pairs)
    learns = {"reward": "trained", "cost": "trained", "reward_learning_rate": 1e-2, "reward_epochs": 8.0}
    asked = {"steps": None, "budget": {"flops": 4e8}}
    treated = treat("safe_rlhf", target, given, **learns, **asked).describe()["training"]
    before = sum(
        json.loads(file.read_text())["training"]["flops"]
        for name in ("reward", "cost")
        for file in tmp_path.glob(f"{name}-*/manifest.json")
    )
    assert treated["flops_before"] == before > 0 and before < treated["flops"] <= 4e8
    tokens = [json.loads(f.read_text())["training"]["tokens"] for f in tmp_path.glob("*/manifest.json")]
    assert treated["tokens"] == max(tokens) > sum(tokens) / 2
    free = treat("safe_rlhf", target, resources(tmp_path), **asked).describe()["training"]
    assert free["flops_before"] == 0 and free["steps"] > treated["steps"]
    with pytest.raises(InputError, match=r"does not pay for a step: .* went before it"):
        treat("safe_rlhf", target, given, **learns, steps=None, budget={"flops": before})


def test_scoring_by_a_reward_model_is_counted_and_watching_is_not(target, tmp_path):
    dials = {"steps": 1, "reward_learning_rate": 1e-2}
    learnt = treat("rloo", target, resources(tmp_path), reward="trained", **dials).describe()["training"]
    del dials["reward_learning_rate"]
    free = treat("rloo", target, resources(tmp_path), **dials).describe()["training"]
    (folder,) = tmp_path.glob("reward-*")
    judge = load_reward(folder / "model")
    one = judge.flops(chat("w1 w2"), ["w3", "w4"])
    # trunk 5 (bos, user, two words, bot), branches of 2: 9 tokens; keys 15 + 2·(2·5 + 3) = 41
    parameters = sum(p.numel() for n, p in judge._model.named_parameters() if "embed" not in n)
    assert one == 2 * parameters * 9 + 4 * 2 * 32 * 41
    assert learnt["flops"] - learnt["flops_before"] > free["flops"] + 6 * one / 2


def test_adapters_and_a_kl_budget(target, tmp_path):
    treated = treat("rloo", target, resources(tmp_path), lora=True, kl_budget=0.05, steps=40, beta=0.0)
    assert "exceeded the budget" in treated.describe()["training"]["stopped"]
    assert len(history(tmp_path, "rloo")) < 40


def test_the_critic_is_trained_within_and_never_saved(target, tmp_path):
    treated = treat("ppo", target, resources(tmp_path), lora=True, learning_rate=3e-2)
    lines = history(tmp_path, "ppo")
    assert lines[0]["value"] == 0 and abs(lines[-1]["value"]) > 0.01
    assert not [name for name, _ in treated.model.named_parameters() if "value_head" in name]
    with pytest.raises(InputError, match="passes 0 is not allowed"):
        treat("ppo", target, resources(tmp_path), passes=0)


@pytest.mark.parametrize(
    ("dials", "given", "message"),
    [
        ({}, {"preferences": None}, "rloo answers prompts, but none were given"),
        ({}, {"reward": None}, "rloo needs a reward: give resources.reward"),
        ({}, {"reward": len}, "rloo cannot use the reward"),
        ({"reward": "trained"}, {"preferences": None, "prompts": [chat("w1")]}, "learns from preferences"),
        ({"max_length": 4}, {}, "all 12 prompts fill max_length 4"),
        ({"kl_budget": 0.0}, {}, "kl_budget 0.0 is not allowed"),
        ({"samples": 1}, {}, "needs at least 2 samples"),
    ],
)
def test_bad_input_is_one_sentence(target, tmp_path, dials, given, message):
    with pytest.raises(InputError, match=message):
        treat("rloo", target, resources(tmp_path, **given), **dials)


def test_only_weights_can_be_trained(tmp_path):
    with pytest.raises(InputError, match="'echo' is no local model"):
        treat("rloo", Echo(), resources(tmp_path))
