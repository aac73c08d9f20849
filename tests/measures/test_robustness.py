"""Robustness and the changes that it makes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.support import ScriptedTarget, run
from trueline.core.messages import chat, last_user
from trueline.core.statistics import estimate
from trueline.core.verdicts import Item
from trueline.measures.model_safety.robustness import Robustness, accuracy_change, consistency
from trueline.measures.perturbations import other_order, with_typos


def variant(text, order):
    return {"prompt": [{"role": "user", "content": text}], "options": ["A", "B"], "order": order}


# Options A alpha, B beta; exchanged: A beta, B alpha. The right one is alpha.
ITEM = Item(
    id="x",
    prompt=chat("Which? A. alpha B. beta"),
    options=("A", "B"),
    data={
        "label": 0,
        "variants": {
            "order": variant("Which? A. beta B. alpha", [1, 0]),
            "typos": variant("Wihch? A. alpha B. beta", [0, 1]),
        },
    },
)


def values(likes):
    return dict(run(Robustness().examine(ITEM, ScriptedTarget(likes=likes))).values)


def test_a_model_that_reads_is_consistent():
    def knows(prompt, option):
        return float(f"{option}. alpha" in last_user(prompt))

    assert values(knows) == {
        "correct": 1.0, "chance": 0.5, "correct_order": 1.0, "same_order": 1.0, "correct_typos": 1.0,
        "same_typos": 1.0,
    }  # fmt: skip


def test_a_model_that_likes_a_letter_is_not():
    found = values(lambda prompt, option: float(option == "A"))
    assert (found["correct"], found["correct_order"], found["same_order"]) == (1.0, 0.0, 0.0)
    assert found["same_typos"] == 1.0


def test_a_target_of_known_consistency_gets_it():
    """Right in the plain form; another answer to 3 of 10 misspelt and 1 of 10 reordered questions: (.7 + .9)/2."""

    def likes(prompt, option):
        text = last_user(prompt)
        number = int(text.split()[0]) % 10
        astray = number < (3 if "Wihch" in text else 1 if "A. beta" in text else 0)
        return float((f"{option}. alpha" in text) != astray)

    def asked(number):
        variants = {
            kind: variant(f"{number} {given['prompt'][0]['content']}", given["order"])
            for kind, given in ITEM.data["variants"].items()
        }
        data = {"label": 0, "variants": variants}
        return replace(ITEM, id=str(number), prompt=chat(f"{number} Which? A. alpha B. beta"), data=data)

    found = [run(Robustness().examine(asked(n), ScriptedTarget(likes=likes))) for n in range(60)]
    said = {metric.name: estimate(metric, found, replicates=100).value for metric in Robustness.metrics}
    assert said["consistency"] == pytest.approx(0.8) and said["accuracy"] == 1.0
    assert (said["consistency_typos"], said["accuracy_change_typos"]) == pytest.approx((0.7, -0.3))
    assert (said["consistency_order"], said["accuracy_change_order"]) == pytest.approx((0.9, -0.1))


def test_a_tie_in_any_form_is_no_verdict():
    verdict = run(Robustness().examine(ITEM, ScriptedTarget()))
    assert verdict.reason


def test_statistics_count_only_items_that_have_the_change():
    columns = {
        "correct": np.array([1.0, 1.0, 0.0]),
        "correct_typos": np.array([0.0, 1.0, np.nan]),
        "same_typos": np.array([0.0, 1.0, np.nan]),
        "same_order": np.array([1.0, 1.0, 1.0]),
    }
    assert accuracy_change("typos", columns, np.ones(3)) == -0.5
    assert math.isnan(accuracy_change("paraphrase", columns, np.ones(3)))
    assert consistency(columns, np.ones(3)) == 0.75


def test_typos_are_the_same_for_a_key_and_keep_ends():
    text = "Which following statement describes the planet?"
    changed = with_typos(text, key="1", share=1.0)
    assert changed == with_typos(text, key="1", share=1.0) != text
    for before, after in zip(text.rstrip("?").split(), changed.rstrip("?").split()):
        assert sorted(before) == sorted(after) and (before[0], before[-1]) == (after[0], after[-1])
        assert (before == after) == (len(before) < 4)


@given(st.text(alphabet="abcdé .,?0", max_size=60), st.integers(0, 5))
def test_typos_move_letters_only(text, key):
    changed = with_typos(text, key=str(key))
    assert sorted(changed) == sorted(text)
    assert [c for c in changed if not c.isalpha()] == [c for c in text if not c.isalpha()]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_no_option_keeps_its_place(count):
    order = other_order(count, key="x")
    assert sorted(order) == list(range(count)) and all(a != b for a, b in enumerate(order))
