"""A folder that cannot be used is refused in one sentence, before or while it is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from local_models import byte_tokenizer, tiny_llama
from peft import LoraConfig, get_peft_model

from trueline.core.errors import InputError
from trueline.models.loading import LoadOptions, check_pair, load_model, load_tokenizer
from trueline.models.model_folder import find_folder

Folder = Callable[[str], Path]


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_whole_folder_loads_in_evaluation_mode_without_gradients(model_folder: Folder) -> None:
    folder = find_folder(str(model_folder("one")))
    model = load_model(folder, LoadOptions())
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.equal(model.lm_head.weight, tiny_llama(seed=1).lm_head.weight)
    assert load_tokenizer(folder)("ab").input_ids[0] == 1


@pytest.mark.parametrize(("dtype", "size"), [("auto", 4), ("float32", 4), ("bfloat16", 2), ("float64", 8)])
def test_dtype_is_honoured_and_its_size_known_before_loading(
    model_folder: Folder, dtype: str, size: int
) -> None:
    folder, options = find_folder(str(model_folder("one"))), LoadOptions(dtype=dtype)
    model = load_model(folder, options)
    assert {p.element_size() for p in model.parameters()} == {size}
    assert options.weight_bytes(folder) == sum(p.nbytes for p in model.parameters())


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match=r"unknown dtype .int3.: .*float32"):
        LoadOptions(dtype="int3")
    with pytest.raises(InputError, match="unknown quantization '7bit'"):
        LoadOptions(quantization="7bit")


@pytest.mark.parametrize(("device", "words"), [("cuda:7", "not available"), ("tpu", "unknown device")])
def test_a_device_that_is_not_there(model_folder: Folder, device: str, words: str) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=words):
        load_model(find_folder(str(model_folder("one"))), LoadOptions(device=device))


def test_quantisation_without_its_library_says_what_to_install(model_folder: Folder) -> None:
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        load_model(find_folder(str(model_folder("one"))), LoadOptions(quantization="8bit"))


def test_missing_things_are_named(model_folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder \./nowhere"):
        find_folder("./nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no config\.json"):
        find_folder(str(tmp_path / "empty"))
    folder = model_folder("one")
    with pytest.raises(InputError, match="is a file"):
        find_folder(str(folder / "config.json"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="has no weights"):
        find_folder(str(folder))


def test_a_hub_name_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="no folder nobody/no-such-model, and the hub"):
        find_folder("nobody/no-such-model")


def test_pickled_weights_are_refused(model_folder: Folder) -> None:
    folder = model_folder("one")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled weights \(pytorch_model\.bin\).*never loaded"):
        find_folder(str(folder))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights(model_folder: Folder, keep: int) -> None:
    weights = model_folder("one") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors is (truncated|not a whole)"):
        find_folder(str(weights.parent))


def test_a_missing_shard(model_folder: Folder) -> None:
    folder = model_folder("one")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"lacks 1 of 2 weight files, first model-2\.safetensors"):
        find_folder(str(folder))


def test_a_sharded_model_loads(tmp_path: Path) -> None:
    tiny_llama(seed=1).save_pretrained(tmp_path, max_shard_size="40KB")
    folder = find_folder(str(tmp_path))
    assert len(folder.weights) > 1
    model = load_model(folder, LoadOptions())
    assert torch.equal(model.lm_head.weight, tiny_llama(seed=1).lm_head.weight)


def test_a_damaged_configuration(model_folder: Folder) -> None:
    config = model_folder("one") / "config.json"
    config.write_text(config.read_text()[:-20])
    with pytest.raises(InputError, match=r"config\.json is not readable JSON"):
        find_folder(str(config.parent))


def test_an_unknown_architecture(model_folder: Folder) -> None:
    folder = model_folder("one")
    edit(folder / "config.json", model_type="no-such-type")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(find_folder(str(folder)), LoadOptions())


def test_weights_that_do_not_fill_the_model_are_refused(model_folder: Folder) -> None:
    folder = model_folder("one")
    edit(folder / "config.json", num_hidden_layers=3, layer_types=None)
    with pytest.raises(InputError, match=r"lack \d+ tensors of LlamaForCausalLM, first model\.layers\.2"):
        load_model(find_folder(str(folder)), LoadOptions())


def test_weights_of_another_shape_are_refused(model_folder: Folder) -> None:
    folder = model_folder("one")
    edit(folder / "config.json", intermediate_size=40)
    with pytest.raises(InputError, match=r"cannot be loaded|other shapes"):
        load_model(find_folder(str(folder)), LoadOptions())


def test_remote_code_is_not_run_unless_asked(model_folder: Folder) -> None:
    folder = model_folder("one")
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"})
    with pytest.raises(InputError, match=r"code of its own.*trust_remote_code"):
        find_folder(str(folder))


def test_a_missing_or_damaged_tokenizer(model_folder: Folder) -> None:
    path = model_folder("one")
    (path / "tokenizer.json").write_text('{"model": {"type": "Nonsense"}}')
    with pytest.raises(InputError, match="cannot be loaded"):
        load_tokenizer(find_folder(str(path)))
    (path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="has no tokenizer"):
        load_tokenizer(find_folder(str(path)))


def test_a_tokenizer_with_more_tokens_than_the_model_embeds() -> None:
    with pytest.raises(InputError, match="259 tokens but the model embeds 100"):
        check_pair(tiny_llama(vocab_size=100), byte_tokenizer(), "x")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_an_adapter_loads_on_its_base(model_folder: Folder, tmp_path: Path) -> None:
    base = model_folder("one")
    adapted = get_peft_model(
        tiny_llama(seed=1), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    )
    adapted.save_pretrained(tmp_path / "adapter")
    edit(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=str(base))
    folder = find_folder(str(tmp_path / "adapter"))
    assert folder.base is not None and folder.base.path == base
    model = load_model(folder, LoadOptions())
    tokens = torch.tensor([[5, 6, 7]])
    assert torch.allclose(model(tokens).logits, adapted.eval()(tokens).logits, atol=1e-5)
    assert not torch.allclose(model(tokens).logits, tiny_llama(seed=1)(tokens).logits, atol=1e-2)
    assert load_tokenizer(folder).eos_token == "<eos>"


def test_an_adapter_without_safe_weights_or_base(model_folder: Folder, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (adapter / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="pickled weights"):
        find_folder(str(adapter))
    shutil.copy(model_folder("one") / "model.safetensors", adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match="names no base_model_name_or_path"):
        find_folder(str(adapter))
