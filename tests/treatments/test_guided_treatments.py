"""DExperts and SafeDecoding as treatments: trained or named experts, provenance, refusals."""

import asyncio
import json

import pytest
import tiny_folder
from toy_target import Echo

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Capability, Resources
from trueline.models.local import LocalTarget
from trueline.treatments.dexperts import DExperts
from trueline.treatments.safe_decoding import SafeDecoding
from trueline.treatments.sft import SupervisedFineTuning

DIALS = {"expert_learning_rate": 1e-2, "expert_epochs": 4}
ALL = {"candidates": 41, "alpha": 1.0}  # every token is a candidate, so that no score is minus infinity


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def resources(folder, **more):
    given = {"preferences": tiny_folder.pairs(), "demonstrations": tiny_folder.demonstrations()}
    return Resources(workdir=folder, **{**given, **more})


def likes(target, answer="w30 w31"):
    return asyncio.run(target.score(chat("w1 w2"), [answer]))[0].logprob


@pytest.mark.parametrize("treatment", [DExperts(**DIALS), SafeDecoding(**DIALS, **ALL)])
def test_a_trained_expert_guides_and_the_target_stays(target, tmp_path, treatment):
    before = likes(target)
    treated = treatment.apply(target, resources(tmp_path))
    assert likes(treated) > before + 1 and likes(target) == before
    (answer,) = asyncio.run(treated.generate(chat("w1 w2"), Sampling(max_tokens=2)))
    assert answer.text.split()[0] == "w30"
    told = treated.describe()
    assert told["treatments"][-1]["name"] == treatment.name and told["training"]["tokens"] > 0
    assert json.loads(json.dumps(dict(told), default=str))
    assert treated.fingerprint() != target.fingerprint()
    assert treatment.apply(target, resources(tmp_path)).fingerprint() == treated.fingerprint()
    assert {Capability.GRADIENTS, Capability.HIDDEN_STATES, Capability.INTERVENTIONS}.isdisjoint(
        treated.capabilities
    )
    assert len(list(tmp_path.glob("sft-*"))) == (2 if treatment.name == "dexperts" else 1)


def test_the_dial_is_a_dial(target, tmp_path):
    found = [likes(DExperts(alpha=a, **DIALS).apply(target, resources(tmp_path))) for a in (0.0, 0.5, 2.0)]
    assert found == sorted(found) and found[0] == pytest.approx(likes(target), abs=1e-4)


def test_named_experts_need_no_data(target, tmp_path):
    expert = SupervisedFineTuning(learning_rate=1e-2, epochs=4).apply(target, resources(tmp_path))
    treatment = SafeDecoding(expert="some/model", **ALL)
    assert treatment.targets == {"expert": "some/model"} and treatment.resources == ()
    given = resources(tmp_path, demonstrations=None, targets={"expert": expert})
    assert likes(treatment.apply(target, given)) > likes(target) + 1
    half = DExperts(expert="some/model")
    assert half.targets == {"expert": "some/model"} and half.resources == ("preferences",)
    assert "expert_learning_rate" not in treatment.settings() and "expert_learning_rate" in half.settings()


def test_raw_text_is_left_alone_by_safe_decoding(target, tmp_path):
    treated = SafeDecoding(**DIALS).apply(target, resources(tmp_path))
    assert asyncio.run(treated.score("w1", [" w2"])) == asyncio.run(target.score("w1", [" w2"]))
    guided = DExperts(**DIALS).apply(target, resources(tmp_path))
    assert asyncio.run(guided.score("w1", [" w2"])) != asyncio.run(target.score("w1", [" w2"]))


@pytest.mark.parametrize(
    ("treatment", "given", "message"),
    [
        (DExperts(), {"preferences": None}, "dexperts trains its expert on preferences, but none were given"),
        (SafeDecoding(), {"demonstrations": None}, "safe_decoding trains its expert on demonstrations"),
        (SafeDecoding(expert="x"), {}, "safe_decoding needs a local model as its expert"),
        (SafeDecoding(expert="x"), {"targets": {"expert": Echo()}}, "needs a local model as its expert"),
    ],
)
def test_missing_experts_are_one_sentence(target, tmp_path, treatment, given, message):
    with pytest.raises(InputError, match=message):
        treatment.apply(target, resources(tmp_path, **given))


def test_only_a_local_model_can_be_guided(tmp_path):
    with pytest.raises(InputError, match="'echo' is no local model"):
        DExperts().apply(Echo(), resources(tmp_path))


def test_impossible_dials_are_refused():
    for bad in ({"alpha": -1.0}, {"tokens": 0}, {"candidates": 0}):
        with pytest.raises(InputError, match="safe_decoding with"):
            SafeDecoding(**bad)
    with pytest.raises(InputError, match="alpha nan"):
        DExperts(alpha=float("nan"))
