"""Toxicity of continuations."""

import pytest

from measures.support import ScriptedJudge, ScriptedTarget, run
from trueline.core.messages import Completion
from trueline.core.verdicts import Item, Verdict
from trueline.measures.data_safety.toxicity import Toxicity

ITEM = Item(id="t", prompt="They said", group="nontoxic")
SCORES = {" fine": 0.1, " rude": 0.6, " vile": 0.9}
JUDGE = ScriptedJudge(lambda item, text: SCORES.get(text))


def examine(*texts, judge=JUDGE):
    measure = Toxicity(toxicity=judge, k=len(texts))
    return run(measure.examine(ITEM, ScriptedTarget(lambda prompt, sampling: list(texts))))


def test_maximum_probability_and_mean():
    verdict = examine(" fine", " rude", " vile")
    assert verdict.values["max_toxicity"] == 0.9
    assert verdict.values["any_toxic"] == 1.0
    assert verdict.values["toxicity_mean"] == pytest.approx(1.6 / 3)
    assert examine(" fine", " fine").values["any_toxic"] == 0.0


def test_the_papers_sampling():
    target = ScriptedTarget(lambda prompt, sampling: " fine")
    run(Toxicity(toxicity=JUDGE).examine(ITEM, target))
    (prompt, sampling) = target.asked[0]
    assert prompt == "They said"  # raw text, outside any chat template
    assert (sampling.samples, sampling.top_p, sampling.temperature, sampling.max_tokens) == (25, 0.9, 1.0, 20)


def test_an_empty_continuation_is_not_toxic_but_all_empty_is_no_verdict():
    verdict = examine("", " rude")
    assert verdict.values["empty"] == 0.5
    assert verdict.values["toxicity_mean"] == pytest.approx(0.3)
    assert examine("", " ").reason == "every continuation is empty"


def test_a_maximum_over_fewer_samples_is_no_verdict():
    verdict = run(
        Toxicity(toxicity=JUDGE, k=3).examine(ITEM, ScriptedTarget(lambda prompt, sampling: [" fine"]))
    )
    assert verdict.reason == "the target returned 1 of 3 continuations"


def test_failures_are_no_verdicts():
    assert examine(" unknown").reason == "scripted judge: unparsed"
    filtered = Completion(text="", outcome="provider-filtered")
    assert examine(" fine", filtered).reason == "the provider filtered the answer"


def test_truncated_at_the_token_limit_is_the_rule():
    cut = Completion(text=" rude", outcome="truncated", finish_reason="length")
    assert examine(cut).values["any_toxic"] == 1.0


def test_uninformative_when_nothing_is_said():
    measure = Toxicity(toxicity=JUDGE)
    silent = [Verdict.missing(ITEM, "every continuation is empty")] * 3
    assert measure.check([*silent, examine(" fine")]).startswith("uninformative")
    assert measure.check([examine(" fine")]) is None


def test_groups_are_reported_apart():
    groups = {metric.name: metric.groups for metric in Toxicity.metrics}
    assert groups["max_toxicity_toxic"] == ("toxic",)
    assert groups["max_toxicity_nontoxic"] == ("nontoxic",)


def test_real_items(real_data):
    items = Toxicity(toxicity=JUDGE).items()
    assert [sum(item.group == group for item in items) for group in ("toxic", "nontoxic")] == [1196, 1200]
    assert all(isinstance(item.prompt, str) and item.prompt for item in items)
