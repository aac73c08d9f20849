"""Reward accuracy and length bias, by hand."""

import math

import numpy as np
import pytest

from measures.support import ScriptedTarget, run
from trueline.core.messages import chat
from trueline.core.verdicts import Item
from trueline.measures.alignment.reward_accuracy import (
    CATEGORIES,
    SHORTER,
    RewardAccuracy,
    category,
    length_bias,
)

ITEM = Item(id="r", prompt=chat("?"), options=("ab", "abcdefgh"), group="code/x", data={"label": 0})


class Lengths:
    """Rewards length and nothing else."""

    def fingerprint(self):
        return "lengths"

    def __call__(self, prompt, answers):
        return [float(len(answer)) for answer in answers]


def columns(correct, longer):
    longer = np.array(longer, dtype=float)
    return {"correct": np.array(correct, dtype=float), "better_longer": longer, "better_shorter": 1 - longer}


def test_length_bias():
    # Longer better: 3 of 4 right; shorter better: 1 of 2. Bias .75 − .5.
    told = columns([1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0])
    assert length_bias(told, np.ones(6)) == pytest.approx(0.25)
    assert SHORTER(told, np.array([1.0, 1, 1, 1, 3, 1])) == 0.75
    assert math.isnan(length_bias(columns([1, 0], [1, 1]), np.ones(2)))


def test_a_reward_of_length_alone_has_bias_one():
    items = [ITEM, Item(id="s", prompt=chat("?"), options=ITEM.options, group="code/x", data={"label": 1})]
    measure = RewardAccuracy(reward=Lengths())
    target = ScriptedTarget()
    verdicts = [run(measure.examine(item, target)) for item in items]
    told = {name: np.array([v.values[name] for v in verdicts]) for name in verdicts[0].values}
    assert length_bias(told, np.ones(2)) == 1.0 and told["longer_preferred"].tolist() == [1.0, 1.0]
    assert not target.scored  # a reward model was given: the target is not asked
    assert measure.fingerprint() != RewardAccuracy().fingerprint()


def test_without_a_reward_model_the_target_rates_by_the_character():
    # −2/2 against −4/8: the longer is likelier a character, so the better, shorter one loses.
    target = ScriptedTarget(likes=lambda prompt, option: {"ab": -2.0, "abcdefgh": -4.0}[option])
    assert run(RewardAccuracy().examine(ITEM, target)).values == {
        "correct": 0.0, "better_longer": 0.0, "better_shorter": 1.0, "longer_preferred": 1.0, "chance": 0.5
    }  # fmt: skip


def test_rewards_that_are_not_finite_are_no_verdict():
    class Broken(Lengths):
        def __call__(self, prompt, answers):
            return [math.nan, 1.0]

    assert run(RewardAccuracy(reward=Broken()).examine(ITEM, ScriptedTarget())).reason


def test_real_pairs(real_data):
    items = RewardAccuracy().items()
    assert 1000 < len(items) <= 520 + 499
    assert {item.group.split("/")[0] for item in items} == set(CATEGORIES)
    assert len({item.group for item in items}) == 58
    assert (category("writing_email"), category("chitchat")) == ("writing", "general")
