"""Steering treatments: directions from the given data, the dial's effect, provenance, refusals."""

import asyncio
import json

import pytest
import tiny_folder
from toy_target import Echo

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Capability, Resources
from trueline.data.labelled import LabelledText
from trueline.models.local import LocalTarget
from trueline.treatments.caa import ContrastiveActivationAddition
from trueline.treatments.refusal_ablation import RefusalAblation
from trueline.treatments.refusal_steering import RefusalSteering
from trueline.treatments.sft import SupervisedFineTuning

TREATMENTS = (RefusalSteering, RefusalAblation, ContrastiveActivationAddition)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def requests():
    return [LabelledText(prompt=chat(f"w{i} w{20 + i}"), answer="", wanted=i % 2 == 0) for i in range(12)]


def resources(folder, **more):
    return Resources(workdir=folder, **{"requests": requests(), "preferences": tiny_folder.pairs(), **more})


def likes(target, answer="w30 w31"):
    return asyncio.run(target.score(chat("w1 w2"), [answer]))[0].logprob


@pytest.mark.parametrize("kind", TREATMENTS)
def test_a_new_target_comes_out_and_the_old_one_stays(target, tmp_path, kind):
    before, fingerprint = likes(target), target.fingerprint()
    treated = kind().apply(target, resources(tmp_path))
    assert treated.fingerprint() != fingerprint and target.fingerprint() == fingerprint
    assert likes(treated) != pytest.approx(before, abs=1e-3) and likes(target) == before
    told = treated.describe()
    assert told["treatments"][-1]["name"] == kind.name and told["treatments"][-1]["layer"] == 1
    assert json.loads(json.dumps(dict(told), default=str))
    assert kind().apply(target, resources(tmp_path)).fingerprint() == treated.fingerprint()
    assert kind.needs == {Capability.INTERVENTIONS} and not list(tmp_path.iterdir())


def test_the_wanted_answers_grow_likely_with_the_scale_of_caa(target, tmp_path):
    found = [
        likes(ContrastiveActivationAddition(scale=scale, layer=1).apply(target, resources(tmp_path)))
        for scale in (-1.0, 0.0, 1.0)
    ]
    assert found == sorted(found) and found[2] > found[0] + 0.5
    assert found[1] == pytest.approx(likes(target), abs=1e-4)


def test_treatments_stack(target, tmp_path):
    once = RefusalSteering(layer=0).apply(target, resources(tmp_path))
    twice = ContrastiveActivationAddition().apply(once, resources(tmp_path))
    assert [t["name"] for t in twice.describe()["treatments"]] == ["refusal_steering", "caa"]
    assert len(twice.interventions) == 2
    with pytest.raises(InputError, match="train first and intervene then"):
        SupervisedFineTuning().apply(twice, resources(tmp_path, demonstrations=tiny_folder.demonstrations()))


def test_caa_takes_one_kind_of_pair(target, tmp_path):
    from dataclasses import replace

    pairs = [replace(p, meta={"kind": "even" if i % 2 else "odd"}) for i, p in enumerate(tiny_folder.pairs())]
    given = resources(tmp_path, preferences=pairs)
    prints = {
        ContrastiveActivationAddition(kind=kind).apply(target, given).interventions[0].key
        for kind in (None, "even", "odd")
    }
    assert len(prints) == 3
    with pytest.raises(InputError, match="no pair is of kind 'prime'; the 12 given are: even, odd"):
        ContrastiveActivationAddition(kind="prime").apply(target, given)


@pytest.mark.parametrize(
    ("treatment", "given", "message"),
    [
        (RefusalSteering(), {"requests": None}, "refusal_steering compares harmful with harmless requests"),
        (RefusalAblation(), {"requests": requests()[::2]}, "rows labelled forget or harmful are needed"),
        (ContrastiveActivationAddition(), {"preferences": None}, "caa learns from preferences"),
        (RefusalSteering(layer=2), {}, "layer 2 is not there: this model has 2"),
    ],
)
def test_missing_data_and_layers_are_one_sentence(target, tmp_path, treatment, given, message):
    with pytest.raises(InputError, match=message):
        treatment.apply(target, resources(tmp_path, **given))


@pytest.mark.parametrize("kind", TREATMENTS)
def test_only_a_local_model_can_be_steered(tmp_path, kind):
    with pytest.raises(InputError, match="'echo' is no local model"):
        kind().apply(Echo(), resources(tmp_path))


def test_scales_that_mean_nothing_are_refused():
    with pytest.raises(InputError, match="scale nan"):
        RefusalSteering(scale=float("nan"))
    with pytest.raises(InputError, match="scale inf"):
        ContrastiveActivationAddition(scale=float("inf"))
    for scale in (0.0, 1.5):
        with pytest.raises(InputError, match=f"scale {scale}"):
            RefusalAblation(scale=scale)
