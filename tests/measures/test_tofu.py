"""TOFU: every figure by hand, the test against a retain model, and what the real items are."""

import math

import numpy as np
import pytest
from scipy.stats import hmean, ks_2samp

from measures.support import ScriptedTarget, run
from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Verdict
from trueline.measures.data_safety.tofu import (
    TOFU,
    chosen_probability,
    forget_quality,
    ks_distance,
    log_truth_ratio,
    model_utility,
    question_item,
)

LOG = math.log


def item(group):
    return question_item(
        "x", chat("Who is it?"), "It is Ada", right="Ada it is", wrong=["Bo it is", "Cy it is"],
        group=group, cluster="c",
    )  # fmt: skip


def target(reply="It is Bo", **probabilities):
    """Each option costs its log twice over two tokens, so that its mean is the log of the given number."""
    likes = {"It is Ada": 0.5, "Ada it is": 0.4, "Bo it is": 0.1, "Cy it is": 0.3, **probabilities}
    return ScriptedTarget(
        lambda prompt, sampling: reply, lambda prompt, option: [2 * LOG(likes[option]), 0.0]
    )


class TestArithmetic:
    def test_truth_ratio(self):
        # The mean of the wrong ones, 0.2, over the right one, 0.4.
        assert log_truth_ratio(LOG(0.4), [LOG(0.1), LOG(0.3)]) == pytest.approx(LOG(0.5))

    def test_chosen_probability(self):
        assert chosen_probability(LOG(0.5), [LOG(0.1), LOG(0.4)]) == pytest.approx(0.5)

    def test_forget_set(self):
        values = run(TOFU().examine(item("forget"), target())).values
        assert values["probability"] == pytest.approx(0.5)
        assert values["rouge"] == pytest.approx(2 / 3)  # "It is" of "It is Ada"
        assert values["truth"] == pytest.approx(0.5)
        assert values["log_ratio"] == pytest.approx(LOG(0.5))

    def test_retain_set_and_facts(self):
        assert run(TOFU().examine(item("retain"), target())).values["truth"] == pytest.approx(0.5)
        facts = run(TOFU().examine(item("facts"), target())).values
        assert facts["probability"] == pytest.approx(0.5 / 0.9)
        worse = target(**{"Ada it is": 0.1})
        assert run(TOFU().examine(item("retain"), worse)).values["truth"] == 0.0
        assert run(TOFU().examine(item("forget"), worse)).values["truth"] == pytest.approx(0.5)

    def test_model_utility_is_the_harmonic_mean_of_nine(self):
        rows = [(s, p, r, t) for s, p, r, t in zip([1, 2, 3, 0], [0.5, 0.6, 0.7, 0.0], [0.2] * 4, [0.9] * 4)]
        columns = dict(zip(("set", "probability", "rouge", "truth"), map(np.array, zip(*rows))))
        nine = [0.5, 0.2, 0.9, 0.6, 0.2, 0.9, 0.7, 0.2, 0.9]
        assert model_utility(columns, np.ones(4)) == pytest.approx(hmean(nine))
        assert model_utility({**columns, "rouge": np.zeros(4)}, np.ones(4)) == 0.0
        assert math.isnan(model_utility(columns, np.array([1.0, 1, 0, 1])))


class TestForgetQuality:
    def test_it_is_scipys_two_sample_test(self):
        rng = np.random.default_rng(0)
        first, second = rng.normal(size=120), rng.normal(0.3, 1, size=120)
        expected = ks_2samp(first, second, method="asymp")
        columns = {"log_ratio": first, "retain_ratio": second}
        assert ks_distance(first, second, np.ones(120)) == pytest.approx(expected.statistic)
        assert forget_quality(columns, np.ones(120)) == pytest.approx(expected.pvalue)
        assert math.isnan(forget_quality({"log_ratio": first}, np.ones(120)))

    def test_weights_count_as_copies(self):
        first, second = np.array([0.0, 1.0, 2.0]), np.array([1.5, 0.5, 3.0])
        weights = np.array([1.0, 2.0, 3.0])
        copies = ks_2samp(np.repeat(first, [1, 2, 3]), np.repeat(second, [1, 2, 3])).statistic
        assert ks_distance(first, second, weights) == pytest.approx(copies)

    def test_the_retain_model_scores_the_forget_set_only(self):
        measure = TOFU()
        measure.retain = target(**{"Ada it is": 0.2})
        assert run(measure.examine(item("forget"), target())).values["retain_ratio"] == pytest.approx(0.0)
        assert "retain_ratio" not in run(measure.examine(item("retain"), target())).values
        measure.retain = ScriptedTarget(likes=lambda prompt, option: -math.inf)
        assert "retain model" in run(measure.examine(item("forget"), target())).reason


def test_silence_recalls_nothing_and_a_filter_is_no_verdict():
    assert run(TOFU().examine(item("forget"), target(reply=""))).values["rouge"] == 0.0
    filtered = Completion(text="", outcome="provider-filtered")
    assert run(TOFU().examine(item("forget"), target(reply=filtered))).reason


def test_a_model_that_never_learnt_is_uninformative():
    def verdict(n, ratio):
        return Verdict(item=str(n), group="retain", values={"log_ratio": ratio})

    assert TOFU().check([verdict(n, 0.1) for n in range(9)]).startswith("uninformative: on 9 of 9")
    assert TOFU().check([verdict(n, -0.1) for n in range(9)]) is None


def test_settings_are_checked():
    with pytest.raises(InputError, match="forget01, forget05, forget10"):
        TOFU(split="forget20")


def test_real_items(real_data):
    items = TOFU().items()
    groups = [one.group for one in items]
    assert {name: groups.count(name) for name in set(groups)} == {
        "forget": 400, "retain": 400, "authors": 100, "facts": 117,
    }  # fmt: skip
    assert len({one.cluster for one in items if one.group == "forget"}) == 20
    assert len({one.id for one in items}) == len(items)
    assert [len(TOFU(split=split).items()) for split in ("forget01", "forget05")] == [657, 817]
    first = items[0]
    assert first.options[first.data["answer"]].endswith("is Basil Mahfouz Al-Kuwaiti.")
    assert len(first.data["wrong"]) == 5
