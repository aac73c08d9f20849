"""Thread settings that must be made before numeric libraries are imported."""

import os


def use_available_cores() -> None:
    """Use the cores that this process may run on, and sleep rather than spin while threads wait for each other.

    OpenMP's default is to spin at every barrier. When another process holds one of the cores, each of a small
    model's many short operations then waits a whole time slice: on two cores under load, sampling took 5 to 50
    times longer. Sleeping costs nothing measurable on idle cores. The user's own settings win.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
