"""Sharded training on two processes (gloo, CPU) gives the trajectory of one; killed and resumed, too."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import on_policy
import pytest
import torch
from every_objective import CASES, ONE_STEP
from sharded_run import NAMES, run

from trueline.core.errors import InputError
from trueline.training.checkpoints import latest
from trueline.training.sharding import check_sharded


def launch(folder, *words):
    """Two processes; their return codes and errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}
    script = str(Path(__file__).with_name("sharded_run.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning:torch.distributed", script, str(folder), *words],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=400)[1] for process in processes]
    return [process.returncode for process in processes], errors


def same_trajectory(name, folder):
    weights, history = torch.load(folder / f"{name}.pt", weights_only=True)
    alone, done = run(name)
    assert len(history) == len(done.history) == 6
    assert max(line["grad_norm"] for line in history) > 1.0  # so that clipping is part of it
    for mine, theirs in zip(done.history, history):
        assert mine.keys() == theirs.keys()
        for key in mine.keys() - {"seconds"}:
            assert theirs[key] == pytest.approx(mine[key], abs=1e-9), key
    assert weights.keys() == alone.state_dict().keys()
    for key, value in alone.state_dict().items():
        assert torch.allclose(weights[key], value, rtol=0, atol=1e-9), key


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    codes, errors = launch(folder, *NAMES)
    assert codes == [0, 0], errors
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_trajectory_of_one(together, name):
    same_trajectory(name, together)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path):
    codes, _ = launch(tmp_path, "--kill", "4", "dpo")
    assert codes == [-signal.SIGKILL] * 2
    assert latest(tmp_path / "dpo").name == "step-00000003"
    shutil.copytree(tmp_path / "dpo", tmp_path / "copy")
    codes, errors = launch(tmp_path, "dpo")
    assert codes == [0, 0], errors
    same_trajectory("dpo", tmp_path)
    model, done = run("dpo", folder=tmp_path / "copy")  # one process goes on from what two had written
    torch.save((model.state_dict(), done.history), tmp_path / "dpo.pt")
    same_trajectory("dpo", tmp_path)


def test_one_process_cannot_shard():
    with pytest.raises(InputError, match="there is one: start it with torchrun"):
        run("sft", sharded=True)


def test_a_parameter_that_is_whole_is_refused():
    with pytest.raises(InputError, match=r"parameter lm_head\.weight is whole on every process"):
        check_sharded({"lm_head.weight": torch.nn.Parameter(torch.zeros(2))})


def test_a_launcher_that_was_told_to_shard_is_not_ignored(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    case = CASES["sft"]
    with pytest.raises(InputError, match="every process would hold all of the model"):
        case.run(case.model(), case.data(), ONE_STEP, cpu=True)


def test_a_method_that_draws_from_the_model_is_refused():
    case = on_policy.CASES["rloo"]
    with pytest.raises(InputError, match="draws answers from the model while it trains"):
        case.run(case.model(), cpu=True, sharded=True)
