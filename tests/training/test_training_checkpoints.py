"""Resuming on the same trajectory, and what a full disk or a damaged file does."""

import errno

import pytest
import torch
from safetensors import SafetensorError
from training_models import examples, llama

from trueline.core.errors import InputError, UnfinishedError
from trueline.training import checkpoints
from trueline.training.adapters import with_adapters
from trueline.training.batches import SeededBatches
from trueline.training.config import LoraConfig, TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.sft import SFTObjective
from trueline.training.reference import add_reference

CONFIG = TrainingConfig(learning_rate=3e-3, batch_size=3, epochs=2, checkpoint_every=2, weight_decay=0.01)


class Killed(BaseException):
    """Stands for the process's death."""


def run(folder=None, die_after=None, kind="sequences", dropout=0.1, seed=0):
    model = llama(attention_dropout=dropout)
    data, objective = examples(10, 1), SFTObjective()
    if kind == "adapters":
        model = with_adapters(llama(), LoraConfig(rank=2), seed=0)
    if kind == "pairs":
        data, objective = (
            add_reference(model, examples(10, 2), weights="t", config=CONFIG).examples,
            DPOObjective(),
        )

    def progress(done, total, words):
        if done == die_after:
            raise Killed

    batches = SeededBatches(kind=objective.batch, examples=data, batch_size=3, epochs=2, seed=seed)
    return model, train(model, batches, objective, CONFIG, checkpoint_folder=folder, progress=progress)


def without_seconds(history):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in history]


@pytest.mark.parametrize("kind", ["sequences", "pairs", "adapters"])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, kind, step):
    whole, history = run(kind=kind)
    with pytest.raises(Killed):
        run(tmp_path, die_after=step, kind=kind)
    resumed, continued = run(tmp_path, kind=kind)
    assert without_seconds(continued.history) == without_seconds(history.history)
    for (name, a), (_, b) in zip(whole.named_parameters(), resumed.named_parameters()):
        assert torch.equal(a, b), name
    assert len(list(tmp_path.glob("step-*"))) == 2 and not list(tmp_path.glob(".partial*"))


def test_slow_steps_are_kept_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr("trueline.training.loop.SAVE_SECONDS", -1.0)
    with pytest.raises(Killed):
        run(tmp_path / "clock", die_after=4)
    assert [path.name for path in sorted((tmp_path / "clock").iterdir())] == [
        "step-00000002",
        "step-00000003",
    ]
    monkeypatch.undo()
    with pytest.raises(Killed):
        run(tmp_path / "steps", die_after=4)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["step-00000002"]


def test_a_finished_run_does_nothing_again(tmp_path):
    first, _ = run(tmp_path)
    again, history = run(tmp_path, die_after=1)
    assert len(history.history) == 8
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters()))


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error")]
)
def test_a_full_disk_loses_nothing_already_written(tmp_path, monkeypatch, fault):
    real = checkpoints.save_file

    def full(tensors, path):
        if "step-00000002" in str(list(tmp_path.glob("step-*"))):
            path.write_bytes(b"half a file")
            raise fault
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(UnfinishedError, match=r"step 4 could not be written .*step-00000002 is whole"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    monkeypatch.undo()
    whole, _ = run()
    resumed, _ = run(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


def test_another_runs_checkpoint_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(InputError, match="belongs to a run with another model, data"):
        run(tmp_path, seed=1)


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path)
    newest = checkpoints.latest(tmp_path)
    (newest / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"checkpoint .*step-00000008 is damaged"):
        run(tmp_path)


def test_a_half_written_folder_is_never_taken_for_a_checkpoint(tmp_path):
    (tmp_path / ".partial-00000006-1").mkdir()
    assert checkpoints.latest(tmp_path) is None
