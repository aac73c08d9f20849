"""A model folder that cannot be used: one sentence, exit code 2, and what was measured before stays."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .running import done, refused

pytestmark = pytest.mark.usefixtures("toy_measures")


def missing(model: Path) -> None:
    shutil.rmtree(model)


def a_file(model: Path) -> None:
    missing(model)
    model.write_text("a model")


def no_config(model: Path) -> None:
    (model / "config.json").unlink()


def no_json(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "lla')


def unknown_kind(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "lamma"}')


def other_shape(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))


def more_layers(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))


def no_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def truncated_weights(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def garbled_weights(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\xff" * 4096)


def pickled_weights(model: Path) -> None:
    no_weights(model)
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def no_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


def garbled_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"version": "1.0", "model"')


def own_code(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    auto_map = {"AutoModelForCausalLM": "modeling.Own"}
    (model / "config.json").write_text(json.dumps({**config, "auto_map": auto_map}))


DAMAGES: dict[Callable[[Path], None], str] = {
    missing: "there is no folder",
    a_file: "is a file, not a model folder",
    no_config: "has no config.json",
    no_json: "is not readable JSON",
    unknown_kind: "lamma",
    other_shape: "have other shapes than config.json says",
    more_layers: "they would be random",
    no_weights: "has no weights (model.safetensors)",
    truncated_weights: "is truncated or damaged",
    garbled_weights: "is not a whole safetensors file",
    pickled_weights: "pickled weights (pytorch_model.bin), which can run code when opened",
    no_tokenizer: "has no tokenizer",
    garbled_tokenizer: "cannot be loaded",
    own_code: "needs code of its own",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_model_is_one_sentence(
    damage: Callable[[Path], None], model: Path, saved_model: Path, tmp_path: Path
) -> None:
    command = ("measure", model, "-m", "greeting", "--out", tmp_path / "out")
    assert "6 verdicts made" in done(*command).out
    damage(model)
    assert DAMAGES[damage] in refused(*command)
    if model.is_file():
        model.unlink()
    shutil.copytree(saved_model, model, dirs_exist_ok=True)
    assert "0 verdicts made, 6 were there already" in done(*command).out


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--dtype", "fp8", "unknown dtype 'fp8': choose one of auto"),
        ("--device", "tpu", "unknown device 'tpu'"),
        ("--device", "cuda", "device 'cuda' is not available on this machine"),
        ("--quantize", "3bit", "unknown quantization '3bit'"),
    ],
)
def test_an_option_that_cannot_be_had(
    option: str, value: str, words: str, model: Path, tmp_path: Path
) -> None:
    if value == "cuda":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    command = ("measure", model, "-m", "greeting", "--out", tmp_path / "out", option, value)
    assert words in refused(*command)


def test_an_unknown_size_of_the_testbed(tmp_path: Path) -> None:
    said = refused("measure", "testbed:larg", "-m", "greeting", "--out", tmp_path / "out")
    assert "did you mean large" in said


def test_a_hub_name_that_is_not_there(tmp_path: Path) -> None:
    said = refused("measure", "nobody/nothing", "-m", "greeting", "--out", tmp_path / "out")
    assert "nobody/nothing" in said
