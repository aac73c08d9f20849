"""Unlearning treatments: what is to be forgotten grows unlikely, what is to be retained does not."""

import asyncio
import json

import pytest
import tiny_folder
import torch

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Resources
from trueline.data.labelled import LabelledText
from trueline.interventions.directions import last_states
from trueline.models.local import LocalTarget
from trueline.treatments.circuit_breakers import CircuitBreakers
from trueline.treatments.graddiff import GradientDifference
from trueline.treatments.gradient_ascent import GradientAscent
from trueline.treatments.npo import NegativePreferenceOptimization
from trueline.treatments.rmu import RepresentationMisdirection
from trueline.treatments.simnpo import SimpleNegativePreferenceOptimization

DIALS = {"learning_rate": 3e-3, "epochs": 6, "batch_size": 6}
TREATMENTS = (
    GradientAscent,
    GradientDifference,
    NegativePreferenceOptimization,
    SimpleNegativePreferenceOptimization,
)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def texts():
    secrets = [LabelledText(prompt="", answer=f"w{i} w30 w31", wanted=False) for i in range(6)]
    return secrets + [LabelledText(prompt=chat(f"w{i} w9"), answer="w20 w21", wanted=True) for i in range(6)]


def scores(target):
    secret = asyncio.run(target.score("w1", [" w30 w31"]))[0].logprob
    return secret, asyncio.run(target.score(chat("w1 w9"), ["w20 w21"]))[0].logprob


@pytest.mark.parametrize("kind", TREATMENTS)
def test_the_secret_goes_and_the_rest_stays(target, tmp_path, kind):
    before = scores(target)
    treated = kind(**DIALS).apply(target, Resources(workdir=tmp_path, forget=texts()))
    after = scores(treated)
    assert after[0] < before[0] - 1
    if kind is not GradientAscent:
        assert after[1] > before[1]
    told = treated.describe()
    assert told["treatments"][0]["name"] == kind.name
    assert told["data"]["examples"] == (6 if kind is GradientAscent else 12)
    assert scores(target) == before


def test_misdirection_moves_what_is_to_be_forgotten_more(target, tmp_path):
    treatment = RepresentationMisdirection(**DIALS, layer=0, steering=20.0, retain_weight=10.0)
    treated = treatment.apply(target, Resources(workdir=tmp_path, forget=texts()))
    encoding = target.encoding
    tokens = [encoding.encode("w1 w30 w31"), encoding.encode(chat("w1 w9"), "w20 w21")]
    moved = (last_states(treated, tokens) - last_states(target, tokens))[:, 0].norm(dim=-1)
    assert moved[0] > 1.5 * moved[1] > 0
    with pytest.raises(InputError, match="layer 7 is not there: this model has 2"):
        RepresentationMisdirection().apply(target, Resources(workdir=tmp_path, forget=texts()))


@pytest.mark.parametrize("lora", [True, False])
def test_circuit_breakers_turn_what_is_to_be_broken_off_and_hold_the_rest(target, tmp_path, lora):
    dials = {"learning_rate": 3e-2, "epochs": 20, "batch_size": 6}
    treatment = CircuitBreakers(**dials, layers=[0, 1], lora=lora)
    treated = treatment.apply(target, Resources(workdir=tmp_path, forget=texts()))
    encoding = target.encoding
    tokens = [encoding.encode("w1 w30 w31"), encoding.encode(chat("w1 w9"), "w20 w21")]
    cosine = torch.nn.functional.cosine_similarity(
        last_states(treated, tokens), last_states(target, tokens), dim=-1
    )[:, 0]
    assert cosine[0] < 0.8 < 0.98 < cosine[1]
    (manifest,) = tmp_path.glob("circuit_breakers-*/manifest.json")
    told = json.loads(manifest.read_text())
    first, last = told["history"][0], told["history"][-1]
    assert first["reroute"] == pytest.approx(1, abs=1e-5) and last["reroute"] < 0.5
    assert first["retain_distance"] == pytest.approx(0, abs=1e-4)
    assert told["training"]["flops_before"] > 0
    with pytest.raises(InputError, match="layer 10 is not there: this model has 2"):
        CircuitBreakers().apply(target, Resources(workdir=tmp_path, forget=texts()))
    assert CircuitBreakers(layers=1).objective().layers == (1,)
    with pytest.raises(InputError, match=r"layers \(0.5,\) are not allowed: give a whole number"):
        CircuitBreakers(layers=(0.5,))


def test_nothing_to_retain_or_nothing_given_is_one_sentence(target, tmp_path):
    with pytest.raises(InputError, match="npo learns from forget, but none were given"):
        NegativePreferenceOptimization().apply(target, Resources(workdir=tmp_path))
    with pytest.raises(InputError, match="rows labelled retain or harmless are needed"):
        NegativePreferenceOptimization().apply(target, Resources(workdir=tmp_path, forget=texts()[:6]))
    with pytest.raises(InputError, match="beta -1"):
        SimpleNegativePreferenceOptimization(beta=-1)
