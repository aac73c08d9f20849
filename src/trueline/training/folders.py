"""A trained model as an ordinary transformers folder, written whole or not at all.

Weights are saved in fp32, the precision they were trained in, whatever the base model was stored in:
rounding to bf16 would lose what a small learning rate changed (a relative step below 2⁻⁸). Whoever loads
them chooses the precision to compute in; a treated target computes in that of the target it came from.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from trueline.core.errors import InputError, UnfinishedError

from .checkpoints import publish

MANIFEST = "manifest.json"


def save_model(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write model and tokenizer under ``folder``; adapters are merged into the weights they adapt.

    Raises UnfinishedError when the disk does not take it; ``folder`` is then absent.
    """
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.config.dtype = torch.float32
    partial = folder.with_name(f".partial-{folder.name}-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        with without_bars():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        publish(partial, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UnfinishedError(
            f"the trained model could not be written to {folder} ({error}); its last checkpoint is whole: "
            "make room and run the same command again."
        ) from error


@contextmanager
def without_bars() -> Iterator[None]:
    """The loaders' own progress bars and advice off; ours say what is going on."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the file that says that the folder is complete; it comes last."""
    partial = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        partial.write_text(
            json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )
        partial.rename(folder / MANIFEST)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UnfinishedError(
            f"the manifest could not be written to {folder} ({error}); make room and run it again."
        ) from error


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a complete folder, or None where it is not complete."""
    file = folder / MANIFEST
    if not file.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{file} is damaged ({error}); remove {folder} to train anew.") from error
    return content


def make_folder(folder: Path) -> None:
    """Create a folder; InputError when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error}); give another output folder.") from error
