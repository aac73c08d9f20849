"""HaluEval: worked arithmetic, ties, the blind baseline, and what the real items are."""

import numpy as np
import pytest

from measures.support import ScriptedTarget, run
from trueline.core.errors import InputError
from trueline.core.messages import chat, last_user
from trueline.core.statistics import estimate
from trueline.core.verdicts import Item, Verdict
from trueline.measures.model_safety.halueval import HaluEval, balanced_accuracy


def item(hallucinated, kind="qa"):
    group = f"{kind}/{'hallucinated' if hallucinated else 'sound'}"
    data = {"hallucinated": hallucinated, "length": 7}
    return Item(id="x", prompt=chat("q"), options=("Yes", "No"), group=group, data=data)


def examine(one, yes, no):
    target = ScriptedTarget(likes=lambda prompt, option: {"Yes": yes, "No": no}[option])
    return run(HaluEval().examine(one, target))


def test_the_likelier_word_decides():
    values = examine(item(1), -1.0, -3.0).values
    assert values == {
        "says": 1.0, "correct": 1.0, "score": 2.0, "hallucinated": 1.0, "length": 7.0, "chance": 0.5,
    }  # fmt: skip
    assert examine(item(0), -1.0, -3.0).values["correct"] == 0.0
    assert "chance" not in examine(item(0, "general"), -1.0, -3.0).values
    assert examine(item(1), -1.0, -1.0).reason


def test_balanced_accuracy_by_hand():
    # One of two hallucinated caught, three of four sound passed: (1/2 + 3/4)/2.
    columns = {
        "hallucinated": np.array([1.0, 1, 0, 0, 0, 0]),
        "correct": np.array([1.0, 0, 1, 1, 1, 0]),
    }
    assert balanced_accuracy(columns, np.ones(6)) == pytest.approx(5 / 8)
    # To weigh the missed one double: (1/3 + 3/4)/2.
    assert balanced_accuracy(columns, np.array([1.0, 2, 1, 1, 1, 1])) == pytest.approx(13 / 24)
    assert np.isnan(balanced_accuracy({name: column[2:] for name, column in columns.items()}, np.ones(4)))


def test_a_target_of_known_rates_gets_them():
    """It catches 7 of 10 hallucinated answers and accuses 2 of 10 sound ones: (.7 + .8)/2, and of the pairs that an
    AUC counts .7 · .8 are in order and .7 · .2 + .3 · .8 tied."""

    def likes(prompt, option):
        kind, number = last_user(prompt).split()
        accused = int(number) % 10 < {"hallucinated": 7, "sound": 2}[kind]
        return float((option == "Yes") == accused)

    found = []
    for kind in ("qa", "general"):
        for number in range(100):
            for name in ("hallucinated", "sound"):
                one = Item(
                    id=f"{kind}{number}{name}",
                    prompt=chat(f"{name} {number}"),
                    options=("Yes", "No"),
                    cluster=str(number),
                    group=f"{kind}/{name}",
                    data={"hallucinated": int(name == "hallucinated"), "length": 7},
                )
                found.append(run(HaluEval().examine(one, ScriptedTarget(likes=likes))))
    said = {metric.name: estimate(metric, found, replicates=100).value for metric in HaluEval.metrics}
    assert said["qa_accuracy"] == said["general_accuracy"] == pytest.approx(0.75)
    assert (said["general_caught"], said["general_false_alarms"]) == pytest.approx((0.7, 0.2))
    assert said["qa_auc"] == said["general_auc"] == pytest.approx(0.56 + 0.38 / 2)
    assert said["qa_blind_auc"] == said["general_blind_auc"] == 0.5
    assert HaluEval().check(found) is None


def verdicts(score, length=5.0):
    """Twenty questions with both answers; ``score`` of the hallucinated one, its negative of the sound one."""
    return [
        Verdict(
            item=f"{n}{h}",
            group=f"qa/{'hallucinated' if h else 'sound'}",
            cluster=str(n),
            values={
                "says": float(value > 0),
                "correct": float((value > 0) == bool(h)),
                "score": value,
                "hallucinated": float(h),
                "length": length + h,
                "chance": 0.5,
            },
        )
        for n in range(20)
        for h in (0, 1)
        for value in ((score if h else -score) if score else 1.0 + n,)
    ]


def test_always_yes_is_uninformative():
    assert HaluEval().check(verdicts(0)).startswith("uninformative")
    assert HaluEval().check(verdicts(2.0)) is None


def test_length_that_tells_as_much_is_said():
    assert "length alone reaches an AUC of 1.00" in HaluEval().warnings(verdicts(2.0))[0]
    assert HaluEval().warnings([]) == ()


def test_settings_are_checked():
    with pytest.raises(InputError, match="knowledge"):
        HaluEval(knowledge="yes")


def test_real_items(real_data):
    items = HaluEval().items()
    groups = [one.group for one in items]
    assert groups.count("general/hallucinated") == 815 and groups.count("general/sound") == 3692
    assert groups.count("qa/sound") == 500 and 900 < groups.count("qa/hallucinated") <= 1000
    of_qa = [one for one in items if one.group.startswith("qa")]
    assert len({one.cluster for one in of_qa}) == 500
    shown = last_user(HaluEval(knowledge=True).items()[0].prompt)
    assert shown.startswith("Passage: Arthur's Magazine (1844") and "Answer: Arthur's Magazine\n" in shown
    assert not last_user(items[0].prompt).startswith("Passage")
