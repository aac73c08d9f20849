"""Trained treatments: a new target on a new folder, the old one untouched, reuse, resume, refusal."""

import asyncio
import json
from dataclasses import replace

import byte_reward
import pytest
import tiny_folder
import torch
from toy_target import Echo

from trueline.core.errors import InputError, NotMeasurableError, UnfinishedError
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Resources
from trueline.data.rankings import as_rankings
from trueline.models.local import LocalTarget
from trueline.treatments.best_of_n import BestOfN
from trueline.treatments.dpo import DirectPreferenceOptimization
from trueline.treatments.pro import PreferenceRankingOptimization
from trueline.treatments.rloo import RLOO
from trueline.treatments.safe_rlhf import SafeRLHF
from trueline.treatments.sft import SupervisedFineTuning

DIALS = {"learning_rate": 1e-2, "epochs": 4, "batch_size": 4}
TREATMENTS = {
    "sft": SupervisedFineTuning(**DIALS),
    "dpo": DirectPreferenceOptimization(**DIALS, beta=0.5),
    "lora": DirectPreferenceOptimization(**DIALS, lora=True),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def resources(folder, **more):
    given = {"preferences": tiny_folder.pairs(), "demonstrations": tiny_folder.demonstrations()}
    return Resources(workdir=folder, **{**given, **more})


def likes(target, answers=("w30 w31", "w3")):
    scores = asyncio.run(target.score(chat("w1 w2"), answers))
    return [score.logprob for score in scores]


@pytest.mark.parametrize("name", TREATMENTS)
def test_training_gives_a_new_target_and_leaves_the_old_one(target, tmp_path, name):
    before, fingerprint = likes(target), target.fingerprint()
    treated = TREATMENTS[name].apply(target, resources(tmp_path))
    after = likes(treated)
    assert after[0] - after[1] > before[0] - before[1] + 1
    assert likes(target) == before and target.fingerprint() == fingerprint
    assert treated.fingerprint() != fingerprint
    told = treated.describe()
    assert told["training"]["steps"] == 12 and told["training"]["flops"] > 0
    assert told["training"]["tokens"] > 0 and told["training"]["seconds"] > 0
    assert [t["name"] for t in told["treatments"]] == [TREATMENTS[name].name]
    assert json.loads(json.dumps(dict(told), default=str))
    folder = next(tmp_path.glob(f"{TREATMENTS[name].name}-*"))
    assert told["source"] == str(folder / "model") and not (folder / "checkpoints").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["data"]["examples"] == 12 and len(manifest["history"]) == 12


def test_the_saved_folder_is_an_ordinary_one(target, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    treated = TREATMENTS["lora"].apply(target, resources(tmp_path))
    folder = treated.describe()["source"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.float32 and not any("lora" in name for name, _ in model.named_parameters())
    assert words.chat_template == tiny_folder.TEMPLATE


def test_a_finished_folder_is_used_again_and_a_changed_dial_is_not(target, tmp_path):
    steps = []
    given = resources(tmp_path, progress=lambda done, total, words: steps.append(words))
    first = TREATMENTS["sft"].apply(target, given)
    count = len(steps)
    again = TREATMENTS["sft"].apply(target, given)
    assert len(steps) == count and again.describe()["training"] == first.describe()["training"]
    assert again.fingerprint() == first.fingerprint()
    SupervisedFineTuning(**{**DIALS, "epochs": 1}).apply(target, given)
    assert len(steps) > count and len(list(tmp_path.glob("sft-*"))) == 2


def test_a_killed_training_goes_on(target, tmp_path):
    def die(done, total, words):
        if words.startswith("dpo") and done == 7:
            raise KeyboardInterrupt

    treatment = DirectPreferenceOptimization(**DIALS)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(type(treatment), "config", _every_second_step(type(treatment).config))
    with monkey.context():
        with pytest.raises(KeyboardInterrupt):
            treatment.apply(target, resources(tmp_path / "a", progress=die))
        assert list((tmp_path / "a").glob("dpo-*/checkpoints/step-00000006"))
        resumed = treatment.apply(target, resources(tmp_path / "a"))
        whole = treatment.apply(target, resources(tmp_path / "b"))
    monkey.undo()
    assert resumed.describe()["training"]["flops"] == whole.describe()["training"]["flops"]
    for a, b in zip(resumed.model.parameters(), whole.model.parameters()):
        assert torch.equal(a, b)


def _every_second_step(config):
    return lambda self, seed: replace(config(self, seed), checkpoint_every=2)


def test_a_disk_that_fills_up_while_saving_keeps_the_checkpoint(target, tmp_path, monkeypatch):
    from transformers import LlamaForCausalLM

    def full(self, folder, **options):
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LlamaForCausalLM, "save_pretrained", full)
        with pytest.raises(UnfinishedError, match="last checkpoint is whole"):
            TREATMENTS["sft"].apply(target, resources(tmp_path))
    (folder,) = tmp_path.glob("sft-*")
    assert [p.name for p in folder.iterdir()] == ["checkpoints"]
    steps = []
    TREATMENTS["sft"].apply(target, resources(tmp_path, progress=lambda *line: steps.append(line)))
    assert steps == [] and (folder / "manifest.json").is_file()


def test_bf16_weights_are_trained_and_saved_in_fp32_and_used_as_the_base_is(tmp_path):
    from safetensors import safe_open

    base = LocalTarget.from_pretrained(tiny_folder.save(tmp_path / "base", torch.bfloat16))
    treated = TREATMENTS["sft"].apply(base, resources(tmp_path / "out"))
    assert base.model.dtype == treated.model.dtype == torch.bfloat16
    (file,) = (tmp_path / "out").glob("sft-*/model/model.safetensors")
    with safe_open(file, framework="pt") as stream:
        assert stream.get_tensor("model.norm.weight").dtype == torch.float32


def test_a_trained_target_can_be_treated_again(target, tmp_path):
    once = TREATMENTS["sft"].apply(target, resources(tmp_path))
    twice = TREATMENTS["dpo"].apply(once, resources(tmp_path))
    assert [t["name"] for t in twice.describe()["treatments"]] == ["sft", "dpo"]


def test_the_system_prompt_is_trained_with_and_kept(target, tmp_path):
    prompted = target.with_system_prompt("w33")
    treated = TREATMENTS["sft"].apply(prompted, resources(tmp_path))
    assert treated.system_prompt == "w33"
    TREATMENTS["sft"].apply(target, resources(tmp_path))
    assert len(list(tmp_path.glob("sft-*"))) == 2


def test_best_of_n_with_a_trained_reward(target, tmp_path):
    treatment = BestOfN(n=8, reward="trained", reward_learning_rate=1e-2, reward_epochs=8)
    assert treatment.resources == ("preferences",)
    treated = treatment.apply(target, resources(tmp_path))
    rewards = treated.reward(chat("w1 w2"), ["w30 w31", "w3", "w7"])
    assert rewards[0] == max(rewards)
    (folder,) = tmp_path.glob("reward-*")
    given = BestOfN(n=8, reward=str(folder / "model")).apply(target, resources(tmp_path))
    assert given.reward(chat("w1 w2"), ["w30 w31", "w3", "w7"]) == pytest.approx(rewards, abs=1e-5)
    assert given.fingerprint() == treated.fingerprint()
    asked = Sampling(max_tokens=3, seed=1)
    (best,) = asyncio.run(treated.generate(chat("w1 w2"), asked))
    drawn = asyncio.run(
        target.generate(chat("w1 w2"), Sampling(max_tokens=3, seed=1, temperature=1.0, samples=8))
    )
    texts = [completion.text for completion in drawn]
    scores = treated.reward(chat("w1 w2"), texts)
    assert best.text == texts[scores.index(max(scores))]


def test_a_reward_model_with_another_tokenizer_and_template_simply_works(target, tmp_path):
    """It is scored through its own: here one byte a token, and a template of its own."""
    folder = byte_reward.save(tmp_path / "reward")
    treated = BestOfN(n=4, reward=str(folder)).apply(target, resources(tmp_path))
    asked = Sampling(max_tokens=3, seed=1)
    (best,) = asyncio.run(treated.generate(chat("w1 w2"), asked))
    drawn = asyncio.run(
        target.generate(chat("w1 w2"), Sampling(max_tokens=3, seed=1, temperature=1.0, samples=4))
    )
    texts = [completion.text for completion in drawn]
    # by hand: the reward model's own words, tokenised by its own tokenizer, read at its own end token
    by_hand = [byte_reward.score(folder, f"Q: w1 w2\nA: {text}</s>") for text in texts]
    assert len({round(value, 4) for value in by_hand}) > 1
    assert treated.reward(chat("w1 w2"), texts) == pytest.approx(by_hand, abs=1e-4)
    assert best.text == texts[by_hand.index(max(by_hand))]
    # its window of 128 bytes is its own too: what does not fit is no reward, and no end of a study
    with pytest.raises(NotMeasurableError, match=r"take 1\d\d of the reward model's tokens, .* 128"):
        treated.reward(chat("w1 w2"), ["w" * 132])


@pytest.mark.parametrize("dial", ["reward_learning_rate", "reward_epochs"])
@pytest.mark.parametrize("reward", ["given", "./reward"])
def test_dials_of_a_reward_model_that_is_not_trained_are_refused(dial, reward):
    for method in (BestOfN, RLOO):
        with pytest.raises(InputError, match=f"trains no reward model here, so {dial} 2 is not used"):
            method(reward=reward, **{dial: 2.0})
    # the cost model is trained by them
    SafeRLHF(reward=reward, cost="trained", **{dial: 2.0})


@pytest.mark.parametrize(
    ("treatment", "given", "message"),
    [
        (TREATMENTS["sft"], {"demonstrations": None}, "sft learns from demonstrations, but none were given"),
        (TREATMENTS["dpo"], {"preferences": []}, "dpo learns from preferences, but none were given"),
        (DirectPreferenceOptimization(max_length=4), {}, "all 12 prompts fill max_length 4"),
        (BestOfN(reward="trained"), {"preferences": None}, "preferences"),
    ],
)
def test_missing_or_useless_data_is_one_sentence(target, tmp_path, treatment, given, message):
    with pytest.raises(InputError, match=message):
        treatment.apply(target, resources(tmp_path, **given))


def test_temperatures_by_scores_need_scores(target, tmp_path):
    lists = as_rankings(tiny_folder.pairs())
    treatment = PreferenceRankingOptimization(**DIALS, use_scores=True)
    with pytest.raises(InputError, match="row 0 has no scores, which pro reads with use_scores"):
        treatment.apply(target, resources(tmp_path, rankings=lists))
    scored = [replace(row, scores=(1.0, 0.25)) for row in lists]
    before, after = likes(target), likes(treatment.apply(target, resources(tmp_path, rankings=scored)))
    assert after[0] - after[1] > before[0] - before[1] + 1


def test_only_weights_can_be_trained(tmp_path):
    with pytest.raises(InputError, match="'echo' is no local model"):
        TREATMENTS["dpo"].apply(Echo(), resources(tmp_path))


def test_contradictory_or_impossible_dials_are_refused():
    with pytest.raises(InputError, match="lora_rank 4 was given without lora"):
        DirectPreferenceOptimization(lora_rank=4)
    with pytest.raises(InputError, match="beta 0"):
        DirectPreferenceOptimization(beta=0)
    with pytest.raises(InputError, match="learning_rate -1"):
        SupervisedFineTuning(learning_rate=-1)


def test_an_unwritable_workdir_is_refused(target, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match="cannot be written to"):
        TREATMENTS["sft"].apply(target, resources(blocked))
