"""Whole model folders to load, made once a session and copied for each test that damages them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from local_models import byte_tokenizer, tiny_llama

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders "one" and "two": different weights, the same byte tokenizer."""
    root = tmp_path_factory.mktemp("models")
    for name, seed in (("one", 1), ("two", 2)):
        tiny_llama(seed=seed).save_pretrained(root / name)
        byte_tokenizer().save_pretrained(root / name)
    return root


@pytest.fixture
def model_folder(saved_models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a saved folder that the test may change."""

    def copy(name: str = "one") -> Path:
        return Path(shutil.copytree(saved_models / name, tmp_path / name))

    return copy
