"""The reference model's log-probabilities: computed once for a data set, kept on disk.

The file's key is a digest of the reference's weight *files* and of the data's tokens, never a name: another
byte of weights, or another template, misses the cache.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trueline.core.errors import InputError, UnfinishedError
from trueline.core.fingerprint import file_digest, fingerprint
from trueline.models.branches import Path

from .batches import Example, examples_digest, passes, with_mismatched, with_reference
from .config import TrainingConfig
from .flops import forward_flops, model_size
from .loop import Progress
from .readings import LOGPS, Reading
from .scoring import Forward, look_at, outputs_of


def weights_digest(folder: FilePath) -> str:
    """A digest of a model folder's weight files and configuration."""
    files = [*sorted(folder.glob("*.safetensors")), folder / "config.json"]
    if len(files) == 1 or not files[-1].is_file():
        raise InputError(f"{folder} is no model folder: it lacks config.json or *.safetensors files.")
    return fingerprint({path.name: file_digest(path) for path in files})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Referenced:
    """Examples with their reference, and what computing it took, now or when it was cached."""

    examples: list[Example]
    flops: float
    seconds: float
    cached: bool


def add_reference(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    weights: str,
    config: TrainingConfig,
    cache: FilePath | None = None,
    progress: Progress = lambda done, total, words: None,
    path: Path = "auto",
) -> Referenced:
    """The examples with ``model``'s log-probabilities.

    ``weights`` is the digest of the reference's weight files. ``cache`` is a folder; a file in it that does
    not fit its data is refused.
    """
    key = fingerprint([weights, examples_digest(examples), config.precision])
    read = with_mismatched(examples)
    file = None if cache is None else cache / f"reference-{key}.safetensors"
    cached = file is not None and file.is_file()
    if file is not None and cached:
        logps, seconds = _read(file, read)
    else:
        started = time.perf_counter()
        logps = _compute(model, read, config, progress, path)
        seconds = time.perf_counter() - started
        if file is not None:
            _write(file, logps, seconds)
    flops = forward_flops(model_size(model), [example.tree for example in read])
    return Referenced(examples=_attach(examples, logps), flops=flops, seconds=seconds, cached=cached)


def _attach(examples: Sequence[Example], logps: Tensor) -> list[Example]:
    read = with_mismatched(examples)
    lengths = [len(branch) for example in read for branch in example.tree.branches]
    branches = iter(torch.split(logps, lengths))
    found = [with_reference(e, [next(branches) for _ in e.tree.branches]) for e in read]
    others = iter(found[len(examples) :])
    return [
        e if e.mismatched is None else replace(e, mismatched=next(others)) for e in found[: len(examples)]
    ]


def _compute(
    model: nn.Module,
    examples: Sequence[Example],
    config: TrainingConfig,
    progress: Progress,
    path: Path,
) -> Tensor:
    """All answers' log-probabilities one after the other, on the CPU: [sum of T]."""
    device = next(model.parameters()).device
    budget = config.pass_tokens(device.type)
    look_at(model, [LOGPS])
    forward = Forward(device=device, precision=config.precision, budget=budget, path=path)
    read = forward.fixed(model, examples, [LOGPS], lambda done: progress(done, len(examples), "reference"))[
        LOGPS.name
    ]
    return torch.cat([branch for branches in read for branch in branches])


def _write(file: FilePath, logps: Tensor, seconds: float) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"logps": logps}, partial, metadata={"seconds": repr(seconds)})
        partial.rename(file)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise UnfinishedError(
            f"the reference's log-probabilities could not be written to {file} ({error}); make room and run "
            "the same command again."
        ) from error


def _read(file: FilePath, examples: Sequence[Example]) -> tuple[Tensor, float]:
    try:
        with safe_open(file, framework="pt") as stream:
            logps: Tensor = stream.get_tensor("logps").clone()
            seconds = float(stream.metadata()["seconds"])
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"the reference cache {file} is damaged ({error}); remove the file.") from error
    if len(logps) != sum(example.answer_tokens for example in examples):
        raise InputError(f"the reference cache {file} does not fit its data; remove the file.")
    return logps, seconds


def with_frozen(
    model: nn.Module, examples: Sequence[Example], name: str, reading: Reading, config: TrainingConfig
) -> list[Example]:
    """The examples, carrying under ``name`` what is read of the model as it is now."""
    look_at(model, [reading])
    device, training = next(model.parameters()).device, model.training
    budget = config.pass_tokens(device.type)
    found: dict[int, Example] = {}
    model.eval()
    with torch.no_grad():
        for group in passes(examples, budget):
            trees = [example.tree for example in group]
            read = outputs_of(model, trees, [reading], token_budget=budget)[reading.name]
            for example, branches in zip(group, read):
                kept = tuple(branch.cpu() for branch in branches)
                found[id(example)] = replace(example, given={**example.given, name: kept})
    model.train(training)
    return [found[id(example)] for example in examples]
