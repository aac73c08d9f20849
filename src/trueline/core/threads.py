"""Thread settings that must be made before numeric libraries are imported."""

import os

_SPIN_COUNT = "10000"  # rounds of a barrier's spinning, tens of microseconds in all


def use_available_cores() -> None:
    """Use the cores that this process may run on; threads spin briefly for each other, then sleep.

    A small model's operations are short, so a thread that sleeps at each barrier costs much: on two idle cores
    sampling took 3.4 s where spinning took 2.2. One that spins on costs more as soon as another process holds a
    core: 15 s against 1.9 where both cores were taken. Spinning for some tens of microseconds costs 2.3 s and
    3.8 s. GNU OpenMP, which PyTorch's Linux builds use, reads the count; the user's own settings win.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
