"""The reference is computed once and keyed by weights and data."""

import pytest
import torch
from training_models import examples, llama, naive_logps

from trueline.core.errors import InputError, UnfinishedError
from trueline.training import reference
from trueline.training.config import TrainingConfig
from trueline.training.reference import add_reference, weights_digest

CONFIG = TrainingConfig()


def test_the_reference_is_naive_log_probability_and_is_read_back(tmp_path):
    model, data = llama(), examples(6, 2)
    made = add_reference(model, data, weights="a", config=CONFIG, cache=tmp_path)
    assert made.flops > 0 and not made.cached
    for example in made.examples:
        for found, expected in zip(example.reference, naive_logps(model, example.tree)):
            assert torch.allclose(found.double(), expected, atol=1e-4)
    again = add_reference(llama(seed=9), data, weights="a", config=CONFIG, cache=tmp_path)
    assert again.cached and (again.flops, again.seconds) == (made.flops, made.seconds)
    for first, second in zip(made.examples, again.examples):
        assert all(torch.equal(a, b) for a, b in zip(first.reference, second.reference))


def test_other_weights_or_data_miss_the_cache(tmp_path):
    for weights, seed in (("a", 0), ("b", 0), ("a", 1)):
        data = examples(4, 2, seed)
        assert not add_reference(llama(), data, weights=weights, config=CONFIG, cache=tmp_path).cached
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_cache_is_named(tmp_path):
    add_reference(llama(), examples(4, 2), weights="a", config=CONFIG, cache=tmp_path)
    next(tmp_path.iterdir()).write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"reference cache .* is damaged"):
        add_reference(llama(), examples(4, 2), weights="a", config=CONFIG, cache=tmp_path)


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reference, "save_file", full)
    with pytest.raises(UnfinishedError, match="No space left"):
        add_reference(llama(), examples(4, 2), weights="a", config=CONFIG, cache=tmp_path)


def test_one_weight_byte_changes_the_digest(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path)
    before = weights_digest(tmp_path)
    with torch.no_grad():
        model.model.norm.weight[0] += 1e-3
    model.save_pretrained(tmp_path)
    assert weights_digest(tmp_path) != before
    with pytest.raises(InputError, match="no model folder"):
        weights_digest(tmp_path / "nowhere")
