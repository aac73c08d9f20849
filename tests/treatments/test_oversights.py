"""align --check: each oversight in a planted example, none in a clean one."""

import shutil

import pytest
import tiny_folder
from transformers import AutoTokenizer

from trueline.core.messages import chat
from trueline.models.local import LocalTarget
from trueline.studies.alignment_setup import Setup
from trueline.studies.oversights import find_oversights
from trueline.treatments.dpo import DirectPreferenceOptimization
from trueline.treatments.grpo import GRPO
from trueline.treatments.rloo import RLOO

ROWS = [(chat(f"w{i} w{i + 1}"), ("w30 w31", f"w{i + 2}")) for i in range(8)]
DIALS = {"learning_rate": 1e-3, "max_length": 60, "batch_size": 4}
T = tiny_folder.TEMPLATE


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return tiny_folder.save(tmp_path_factory.mktemp("clean") / "model")


def change(folder, place, *, tokenizer=None, **config):
    """A copy of a folder with another tokenizer or configuration."""
    import json

    shutil.copytree(folder, place)
    if tokenizer is not None:
        own = AutoTokenizer.from_pretrained(place)
        tokenizer(own)
        shutil.rmtree(place / "chat_template.jinja", ignore_errors=True)
        (place / "chat_template.jinja").unlink(missing_ok=True)
        own.save_pretrained(place)
    file = place / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return place


def names(folder, rows=ROWS, dtype="auto", **dials):
    treatment = DirectPreferenceOptimization(**{**DIALS, **dials})
    setup = Setup(target=LocalTarget.from_pretrained(folder, dtype=dtype), treatment=treatment, rows=rows)
    return [oversight.name for oversight in find_oversights(setup)]


def test_a_clean_set_up_has_none(clean):
    assert names(clean) == []


def template(text):
    def plant(tokenizer):
        tokenizer.chat_template = text

    return plant


def end_as_pad(tokenizer):
    tokenizer.pad_token = "<eos>"


PLANTED = {
    "no chat template": template(None),
    "answers not shown": template(T.replace("<bot> {{ m['content'] }} {{ eos_token }}", "")),
    "beginning token": template("{{ bos_token }} " + T),
    "no end token": template(T.replace("{{ eos_token }}", "")),
    "end token is pad token": end_as_pad,
}


@pytest.mark.parametrize("name", PLANTED)
def test_tokenizer_and_template(name, clean, tmp_path):
    assert names(change(clean, tmp_path / "model", tokenizer=PLANTED[name])) == [name]


def test_a_token_that_spans_the_end_of_the_prompt(clean, tmp_path):
    merging = T.replace("<bot> {{ m['content'] }}", "<bot> w{{ m['content'] }}").replace(
        "%}<bot> {% endif", "%}<bot> w{% endif"
    )
    rows = [(prompt, ("30 w31", f"{i + 2}")) for i, (prompt, _) in enumerate(ROWS) if i != 1]
    folder = change(clean, tmp_path / "model", tokenizer=template(merging))
    assert names(folder, rows=rows) == ["merged boundary"]


def test_a_reward_model_with_another_tokenizer_is_a_note(clean, tmp_path):
    other = change(clean, tmp_path / "other", tokenizer=template(T.replace("<user>", "<sys>")))
    same = LocalTarget.from_pretrained(clean)
    for folder, found in ((other, ["reward model's tokenizer"]), (clean, [])):
        treatment = RLOO(learning_rate=1e-3, max_length=60, reward=str(folder))
        oversights = find_oversights(Setup(target=same, treatment=treatment, rows=ROWS))
        assert [oversight.name for oversight in oversights] == found
        assert all(oversight.grade == "note" for oversight in oversights)


def test_k3_as_a_loss_is_a_warning(clean):
    target = LocalTarget.from_pretrained(clean)
    for kl, beta, found in (
        ("k3", 0.1, ["biased divergence"]),
        ("k3", 0.0, []),
        ("k2", 0.1, []),
        ("k1", 0.1, []),
    ):
        treatment = GRPO(learning_rate=1e-3, max_length=60, kl=kl, beta=beta)
        oversights = find_oversights(Setup(target=target, treatment=treatment, rows=ROWS))
        assert [oversight.name for oversight in oversights] == found


def test_adapters_on_tied_embeddings_are_a_note(clean, tmp_path):
    assert names(clean, lora=True) == ["tied embeddings with LoRA"]
    from trueline.training.adapters import with_adapters
    from trueline.training.config import LoraConfig

    model = with_adapters(LocalTarget.from_pretrained(clean).source.load(), LoraConfig(), 0)
    adapted = {name for name, _ in model.named_parameters() if "lora_" in name}
    assert adapted and not any("embed" in name or "lm_head" in name for name in adapted)


def test_dropout(clean, tmp_path):
    assert names(change(clean, tmp_path / "model", attention_dropout=0.1)) == ["dropout"]


def test_settings(clean):
    assert names(clean, learning_rate=1e-7) == ["learning rate"]
    assert names(clean, learning_rate=0.5) == ["learning rate"]
    assert names(clean, dtype="bfloat16", learning_rate=1e-5, steps=1) == ["steps lost in 16 bits"]
    assert names(clean, dtype="bfloat16", steps=100) == []


def test_lengths(clean):
    assert names(clean, max_length=6) == ["cut answers"]
    long = [*ROWS, (chat("w1"), (" ".join(["w2"] * 80), "w3"))]
    assert names(clean, rows=long, max_length=200) == ["cut answers", "window exceeded"]
