"""Two processes give the trajectory of one (gloo, CPU)."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from parallel_run import run
from safetensors.torch import load_file

from trueline.training.checkpoints import latest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "kto"])
def test_two_processes_give_the_trajectory_of_one(tmp_path, name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).with_name("parallel_run.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(tmp_path), name],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
    alone, done = run(name)
    assert len(done.history) == 6
    together = load_file(latest(tmp_path) / "weights.safetensors")
    for name, parameter in alone.named_parameters():
        assert torch.allclose(together[name], parameter, atol=1e-9), name
