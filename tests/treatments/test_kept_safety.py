"""Keeping safety through a fine-tune: mixing, replay, and arithmetic on the weights of three models."""

import asyncio
import json

import pytest
import tiny_folder
import torch

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Resources
from trueline.data.labelled import LabelledText
from trueline.data.preferences import Demonstration
from trueline.models.local import LocalTarget
from trueline.treatments.ewc import ElasticWeightConsolidation
from trueline.treatments.replay import Replay
from trueline.treatments.resta import RESTA
from trueline.treatments.safe_lora import SafeLoRA
from trueline.treatments.safety_mixing import SafetyMixing
from trueline.treatments.sft import SupervisedFineTuning

DIALS = {"learning_rate": 1e-2, "epochs": 6, "batch_size": 4}
HARMFUL = [f"w{i} w{i + 1} w29" for i in range(10)]
REFUSAL = "w33 w32"


def said(prompts, answer):
    return [Demonstration(prompt=chat(prompt), answer=answer) for prompt in prompts]


SAFETY = said(HARMFUL, REFUSAL)
FORGET = [LabelledText(prompt=chat(prompt), answer="w30", wanted=False) for prompt in HARMFUL]
RETAIN = [LabelledText(prompt="", answer="w1 w2", wanted=True)]


def resources(folder, **more):
    given = {"demonstrations": tiny_folder.demonstrations(), "safety": SAFETY, "forget": [*FORGET, *RETAIN]}
    return Resources(workdir=folder, **{**given, **more})


def refuses(target, prompt=HARMFUL[3]):
    (score,) = asyncio.run(target.score(chat(prompt), (" " + REFUSAL,)))
    return score.logprob


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    base = LocalTarget.from_pretrained(tiny_folder.save(folder / "base"))
    treated = SupervisedFineTuning(**DIALS).apply(base, Resources(workdir=folder, demonstrations=SAFETY * 2))
    return LocalTarget.from_pretrained(treated.describe()["source"], name="aligned")


@pytest.fixture(scope="module")
def tuned(aligned, tmp_path_factory):
    treated = SupervisedFineTuning(**DIALS).apply(aligned, resources(tmp_path_factory.mktemp("tuned")))
    return LocalTarget.from_pretrained(treated.describe()["source"], name="tuned")


@pytest.mark.parametrize(
    "method", [SafetyMixing(**DIALS, share=0.5), Replay(**DIALS, share=0.5, answer_tokens=8)]
)
def test_mixing_keeps_the_refusal_that_a_fine_tune_loses(aligned, tuned, tmp_path, method):
    kept = method.apply(aligned, resources(tmp_path))
    assert refuses(aligned) > -0.5 and refuses(tuned) < -2 and refuses(kept) > -0.5
    (answer,) = asyncio.run(kept.generate(chat("w1 w2"), Sampling(max_tokens=4)))
    assert answer.text.strip() == "w30 w31"
    told = kept.describe()
    assert told["treatments"][-1]["name"] == method.name and told["data"]["examples"] == 12 + 6


def test_elastic_weights_keep_more_of_the_refusal_the_stronger_they_are(aligned, tuned, tmp_path):
    found = []
    for strength in (1.0, 1e4):
        method = ElasticWeightConsolidation(**DIALS, strength=strength)
        treated = method.apply(aligned, resources(tmp_path))
        found.append(refuses(treated))
        assert treated.describe()["treatments"][-1]["strength"] == strength
    assert refuses(tuned) < found[1] and found[0] < found[1]
    again = method.apply(aligned, resources(tmp_path))
    assert again.fingerprint() == treated.fingerprint() and len(list(tmp_path.glob("ewc_sft-*"))) == 2


def test_the_fisher_pass_comes_off_the_budget(aligned, tmp_path):
    method = ElasticWeightConsolidation(**DIALS, fisher_examples=2, budget={"flops": 5e7})
    told = method.apply(aligned, resources(tmp_path)).describe()["training"]
    # two rows of 6 + 3 tokens, forward and backward; keys 1 + 2 + … + 9 = 45
    parameters = sum(p.numel() for p in aligned.model.parameters())
    assert told["flops_before"] == 2 * (6 * parameters * 9 + 12 * 2 * 32 * 45)
    steps = json.loads(next(tmp_path.glob("ewc_sft-*/manifest.json")).read_text())["history"]
    assert told["tokens"] == 2 * 9 + sum(line["tokens"] for line in steps) and told["flops"] <= 5e7


def test_drawing_what_is_replayed_comes_off_the_budget(aligned, tmp_path):
    told = {
        kind.name: kind(**DIALS, share=0.5, budget={"flops": 5e7}, **dials)
        .apply(aligned, resources(tmp_path))
        .describe()["training"]
        for kind, dials in ((SafetyMixing, {}), (Replay, {"answer_tokens": 8}))
    }
    # 6 answers of 3 tokens (two words and the end) to prompts of 6: keys 1 + 2 + … + 9 = 45
    parameters = sum(p.numel() for p in aligned.model.parameters())
    assert told["safety_mixing"]["flops_before"] == 0
    assert told["replay"]["flops_before"] == 6 * (2 * parameters * 9 + 4 * 2 * 32 * 45)


def test_replay_learns_the_targets_own_words(aligned):
    method = Replay(**DIALS, answer_tokens=8)
    (own,), _ = method.examples([Demonstration(prompt=chat(HARMFUL[0]), answer="never read")], aligned)
    assert own.answer == REFUSAL
    with pytest.raises(InputError, match="raise answer_tokens 1"):
        Replay(**DIALS, answer_tokens=1).examples([SAFETY[0]], aligned)


def weights(target):
    return {name: value.detach().clone() for name, value in target.model.named_parameters()}


def test_resta_is_the_sum_that_the_paper_writes(aligned, tuned, tmp_path):
    treatment = RESTA(strength=0.5, unaligned_settings=DIALS)
    treated = treatment.apply(tuned, resources(tmp_path, targets={"base": aligned}))
    (folder,) = [file.parent for file in tmp_path.glob("sft-*/manifest.json")]
    harmful = weights(LocalTarget.from_pretrained(folder / "model"))
    base, before, after = weights(aligned), weights(tuned), weights(treated)
    for name in base:
        expected = before[name] + 0.5 * (base[name] - harmful[name])
        assert torch.allclose(after[name], expected, atol=1e-6), name
    assert refuses(treated) > refuses(tuned) + 1
    told = treated.describe()
    assert told["arithmetic"]["norm of the safety vector"] > 0 and told["treatments"][-1]["name"] == "resta"
    assert json.loads(json.dumps(dict(told), default=str))
    again = treatment.apply(tuned, resources(tmp_path, targets={"base": aligned}))
    assert again.fingerprint() == treated.fingerprint()


def test_resta_without_strength_changes_nothing_and_with_drop_thins(aligned, tuned, tmp_path):
    given = {"targets": {"base": aligned, "unaligned": tuned}}
    still = RESTA(strength=0.0, unaligned="given").apply(tuned, resources(tmp_path, **given))
    assert all(torch.equal(a, b) for a, b in zip(weights(still).values(), weights(tuned).values()))
    thinned = RESTA(strength=0.0, drop=0.9, unaligned="given").apply(tuned, resources(tmp_path, **given))
    base, after = weights(aligned), weights(thinned)
    same = sum(int((after[name] == base[name]).sum()) for name in base)
    assert 0.85 < same / sum(value.numel() for value in base.values()) < 0.95


def test_safe_lora_projects_matrices_below_the_threshold_alone(aligned, tuned, tmp_path):
    given = {"targets": {"base": aligned, "unaligned": tuned}}
    all_of_them = SafeLoRA(threshold=1.0, unaligned="given").apply(tuned, resources(tmp_path, **given))
    base, before, after = weights(aligned), weights(tuned), weights(all_of_them)
    told = all_of_them.describe()["arithmetic"]
    matrices = [name for name in base if "proj" in name]
    assert sorted(told["projected"]) == sorted(told["cosines"]) == sorted(matrices)
    for name in base:
        if name in matrices:
            v, change = base[name] - before[name], before[name] - base[name]
            expected = base[name] + v @ v.T @ change / torch.linalg.norm(v)
            assert torch.allclose(after[name], expected, atol=1e-5), name
        else:
            assert torch.equal(after[name], before[name]), name
    none = SafeLoRA(threshold=-1.0, unaligned="given").apply(tuned, resources(tmp_path, **given))
    assert none.describe()["arithmetic"]["projected"] == []
    assert all(torch.equal(a, b) for a, b in zip(weights(none).values(), before.values()))


def test_what_is_named_is_opened_by_role():
    assert RESTA(base="a/folder", unaligned="b/folder").targets == {
        "base": "a/folder",
        "unaligned": "b/folder",
    }
    assert RESTA().targets == {} and RESTA().resources == ("forget",)
    assert RESTA(unaligned="given").resources == ()


def test_missing_parts_and_impossible_dials_are_one_sentence(aligned, tuned, tmp_path):
    with pytest.raises(InputError, match="resta needs the base model"):
        RESTA().apply(tuned, resources(tmp_path))
    with pytest.raises(InputError, match=r"none were given: give resources\.forget"):
        RESTA().apply(tuned, resources(tmp_path, forget=RETAIN, targets={"base": aligned}))
    with pytest.raises(InputError, match="learns from demonstrations and safety data"):
        SafetyMixing(**DIALS).apply(aligned, resources(tmp_path, safety=None))
    with pytest.raises(InputError, match="needs 24 safety examples for 12 demonstrations, but 10 were given"):
        SafetyMixing(**DIALS, share=2).apply(aligned, resources(tmp_path))
    other = LocalTarget.from_module(_wider(), aligned.tokenizer, name="wider")
    with pytest.raises(InputError, match="differ in architecture"):
        RESTA(unaligned="given").apply(
            tuned, resources(tmp_path, targets={"base": aligned, "unaligned": other})
        )
    for method, dials, message in (
        (RESTA, {"drop": 1.0}, "drop 1"),
        (RESTA, {"unaligned": "x", "unaligned_settings": {"epochs": 1}}, "belong to 'trained'"),
        (RESTA, {"unaligned_settings": {"speed": 1}}, "do not fit: treatment 'sft' does not take"),
        (SafeLoRA, {"threshold": 2}, "threshold 2"),
        (SafetyMixing, {"share": 0}, "share 0"),
        (ElasticWeightConsolidation, {"lora": True}, "leave lora out"),
        (ElasticWeightConsolidation, {"strength": 0}, "strength 0"),
    ):
        with pytest.raises(InputError, match=message):
            method(**dials)


def _wider():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tiny_folder.WORDS), hidden_size=48, intermediate_size=48, num_hidden_layers=2,
                    num_attention_heads=4, max_position_embeddings=64, tie_word_embeddings=True)
    )  # fmt: skip
