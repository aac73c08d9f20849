"""Clocks and high-water marks."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


def now() -> np.ndarray:
    """Wall time and CPU time of all threads, in seconds, once the accelerator has done what it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def typical(seconds: Any, prompts: str = "long") -> np.ndarray:
    """Of each column: the median of steps that are alike, the mean where they are as unlike as real rows; the first
    step is left out, since it warms caches up in every program."""
    return (np.mean if prompts.startswith("real") else np.median)(np.array(seconds[1:]), axis=0)


def peak_growth(work: Callable[[], object]) -> float:
    """How far memory peaks above its level before, in MiB: the accelerator's, or what is resident (Linux only)."""

    def resident(field: str) -> float:
        return float(Path("/proc/self/status").read_text().split(field + ":")[1].split()[0]) / 1024

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is resident now
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def in_own_process(arguments: Sequence[str]) -> Any:
    """What the running script prints last when it is called with these arguments, read as JSON."""
    done = subprocess.run(
        [sys.executable, sys.argv[0], *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])
