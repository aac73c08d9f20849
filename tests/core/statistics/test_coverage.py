"""Do the intervals hold what they promise? A small grid here; benchmarks/coverage.py prints the whole one."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BENCHMARK = _benchmark()
CELLS = {
    "clustered .1, 25 × 20, icc .1": BENCHMARK.clustered_run(0.1, 25, 20, 0.1),
    "clustered .3, 10 × 4, icc .3": BENCHMARK.clustered_run(0.3, 10, 4, 0.3),
    "clustered .05, 50 × 4, icc .3": BENCHMARK.clustered_run(0.05, 50, 4, 0.3),
    "mean, uniform, 10 × 10": BENCHMARK.mean_run((1.0, 1.0), 10, 10, 0.1),
    "mean, skewed, 100 × 1": BENCHMARK.mean_run((0.3, 2.0), 100, 1, 0.0),
    "paired .1 to .02, 100": BENCHMARK.paired_run(0.1, 0.02, 100, 1, 0.0),
    "paired, nothing gained, 100": BENCHMARK.paired_run(0.02, 0.0, 100, 1, 0.0),
    "paired, 25 × 4, icc .2": BENCHMARK.paired_run(0.3, 0.05, 25, 4, 0.2),
    "powered .05, 100 labels": BENCHMARK.powered_run(0.05, 100, (0.95, 0.98), 1000),
    "powered .2, useless judge": BENCHMARK.powered_run(0.2, 100, (0.5, 0.5), 1000),
    "powered, 50 clusters": BENCHMARK.powered_run(0.2, 200, (0.8, 0.9), 50),
    "powered change": BENCHMARK.powered_change_run(0.3, 0.1, 100, (0.8, 0.9)),
    "transported, 5 sources": BENCHMARK.transported_run(0.3, 5, 0.1, 0.0),
    "method, 5 seeds": BENCHMARK.method_run(5, 50, 0.5),
    "sequence": BENCHMARK.sequence_run(0.2, 100),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_small_grid_covers(name: str) -> None:
    cell = BENCHMARK.simulate(name, CELLS[name], 400)
    assert cell.coverage >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 400)


@pytest.mark.parametrize("kind", ["ratio", "auc", "ece, overconfident"])
def test_resampled_statistics_cover(kind: str) -> None:
    cell = BENCHMARK.simulate(kind, BENCHMARK.statistic_run(kind, 100), 100)
    assert cell.coverage >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 100)


def test_a_shifted_sensitivity_fails() -> None:
    cell = BENCHMARK.simulate("shift", BENCHMARK.transported_run(0.6, 10, 0.03, 0.4), 100)
    assert cell.coverage < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_ten_thousand_runs(name: str) -> None:
    cell = BENCHMARK.simulate(name, CELLS[name], 10_000)
    assert cell.coverage >= 0.93 - 2 * cell.error
