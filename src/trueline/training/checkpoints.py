"""Atomic checkpoints: safetensors and JSON, whole or not there at all.

A checkpoint is a folder ``step-00000123``: ``weights.safetensors`` (what is trained, in the precision it is
trained in), ``optimizer.safetensors`` (AdamW's moments), ``history.jsonl`` (a line a step) and ``state.json``
(step, run identity, costs). It is written into a hidden folder, flushed to disk and renamed, so a killed
process or a full disk leaves the earlier ones as they were. A step's batch and random stream are functions
of (seed, step), so the step number is all the position there is to keep.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trueline.core.errors import InputError, UnfinishedError

FORMAT = 1
PREFIX = "step-"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A moment of a training run, after ``step`` optimiser steps."""

    step: int
    identity: str
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    history: Sequence[Mapping[str, float]]
    costs: Mapping[str, float]


def write(folder: Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write a checkpoint under ``folder`` and drop all but the newest ``keep``; returns its path.

    Raises UnfinishedError when it cannot be written; what was there before is untouched.
    """
    final = folder / f"{PREFIX}{checkpoint.step:08d}"
    partial = folder / f".partial-{checkpoint.step:08d}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in checkpoint.weights.items()},
            partial / "weights.safetensors",
        )
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in checkpoint.optimizer.items()},
            partial / "optimizer.safetensors",
        )
        lines = "".join(json.dumps(line) + "\n" for line in checkpoint.history)
        (partial / "history.jsonl").write_text(lines, encoding="utf-8")
        state = {
            "format": FORMAT,
            "step": checkpoint.step,
            "identity": checkpoint.identity,
            "costs": dict(checkpoint.costs),
        }
        (partial / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        publish(partial, final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        newest = latest(folder)
        kept = f"the checkpoint {newest} is whole" if newest else "there is no earlier checkpoint"
        raise UnfinishedError(
            f"the checkpoint of step {checkpoint.step} could not be written in {folder} ({error}); {kept}: "
            "make room and run the same command again to go on from it."
        ) from error
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def publish(partial: Path, final: Path) -> None:
    """Flush a folder's files to disk and rename it into place, so that it is seen whole or not at all."""
    readable = partial.stat().st_mode & 0o666  # safetensors makes its files private to the user
    for path in sorted(partial.rglob("*")):
        if path.is_file():
            path.chmod(readable)
            _flush(path)
    _flush(partial)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    _flush(final.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir()) if folder.is_dir() else []


def latest(folder: Path) -> Path | None:
    """The newest checkpoint under ``folder``, or None."""
    found = _all(folder)
    return found[-1] if found else None


def read(path: Path, identity: str) -> Checkpoint:
    """Read a checkpoint of the run ``identity``; InputError when it is damaged or belongs to another run."""
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
        weights = _tensors(path / "weights.safetensors")
        optimizer = _tensors(path / "optimizer.safetensors")
        history = [
            json.loads(line) for line in (path / "history.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        form, step, found, costs = state["format"], int(state["step"]), state["identity"], state["costs"]
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise InputError(
            f"the checkpoint {path} is damaged ({error}); remove that folder to go on from the one before it."
        ) from error
    if form != FORMAT:
        raise InputError(
            f"the checkpoint {path} has format {form}, this version reads {FORMAT}; remove it to start anew."
        )
    if found != identity:
        raise InputError(
            f"the checkpoint {path} belongs to a run with another model, data, method or configuration; "
            "give another output folder, or remove it to start anew."
        )
    return Checkpoint(
        step=step, identity=found, weights=weights, optimizer=optimizer, history=history, costs=costs
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as stream:
        # clones own their memory: a mapped file must not change under a running process
        return {name: stream.get_tensor(name).clone() for name in stream.keys()}  # noqa: SIM118


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """The optimiser's state as named tensors; ``names`` are those of its parameters, in its order."""
    state = optimizer.state_dict()["state"]
    return {
        f"{slot}/{names[i]}": torch.as_tensor(value)
        for i, slots in state.items()
        for slot, value in slots.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Sequence[str], tensors: Mapping[str, Tensor]
) -> None:
    """Put named state back into the optimiser."""
    place = {name: i for i, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        slot, name = key.split("/", 1)
        state.setdefault(place[name], {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
