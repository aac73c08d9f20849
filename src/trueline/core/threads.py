"""Thread settings that must be made before numeric libraries start."""

import os


def use_physical_cores() -> None:
    """Let numeric libraries use the cores that this process may run on (containers often report more)."""
    count = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    os.environ.setdefault("OMP_NUM_THREADS", count)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
