"""Studies in processes of their own: killed at any moment, and several on one store."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from separate_processes import ITEMS
from toy_study import Counter

from trueline.studies.plan import make_plan
from trueline.studies.results import open_store, read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

SCRIPT = Path(__file__).parent / "separate_processes.py"


def processes(verb: str, place: str, folder: Path, *numbers: int) -> tuple[str, list[list[str]]]:
    """Run the script; what it printed, and the lines of its log."""
    log = folder / "log"
    command = [sys.executable, SCRIPT, verb, place, folder / "out", log, *numbers]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line.split() for line in log.read_text().splitlines()]


def finish(place: str, out: Path) -> tuple[int, int]:
    """Run the same study in this process; verdicts made and found."""
    study = {
        "name": "toy",
        "targets": ["toy"],
        "measures": [{"name": "parity", "count": ITEMS}],
        "store": place,
    }
    report = run_study(make_plan(parse_spec(study)), out)
    assert report.unfinished == ()
    return report.made, report.stored


def rows(place: str) -> tuple[int, int]:
    store = open_store(place)
    report = store.verify()
    assert report.whole
    store.close()
    return report.responses, report.verdicts


@pytest.mark.parametrize(
    ("place", "kills"),
    [("sqlite", 50), ("postgresql", 10), pytest.param("postgresql", 50, marks=pytest.mark.slow)],
    indirect=["place"],
)
def test_killed_again_and_again_it_loses_only_what_was_in_flight(
    counter: Counter, place: str, kills: int, tmp_path: Path
) -> None:
    printed, asked = processes("kill", place, tmp_path, kills, 7)
    after_round = [set(keys) for keys in json.loads(printed)]
    assert len(after_round) == kills
    for before, after in pairwise(after_round):
        assert before <= after  # nothing that was stored is ever lost
    for who, key in asked:
        number = int(who.removeprefix("round"))
        assert number == 0 or key not in after_round[number - 1]  # nothing that was stored is asked again
    assert len(asked) > len(after_round[-1]) > kills  # the kills did cost questions, and work went on
    made, stored = finish(place, tmp_path / "out")
    assert made + stored == ITEMS and counter.asked == ITEMS - len(after_round[-1])
    assert rows(place) == (ITEMS, ITEMS)
    counter.asked = 0
    finish(str(tmp_path / "whole"), tmp_path / "whole")
    assert counter.asked == ITEMS
    killed, whole = read_results(place), read_results(tmp_path / "whole")
    assert [cell.metrics for cell in killed.cells] == [cell.metrics for cell in whole.cells]


def test_processes_on_one_store_lose_and_duplicate_nothing(
    counter: Counter, place: str, tmp_path: Path
) -> None:
    _, asked = processes("together", place, tmp_path, 3)
    assert {who for who, _ in asked} == {"process0", "process1", "process2"}
    assert rows(place) == (ITEMS, ITEMS)
    assert finish(place, tmp_path / "out") == (0, ITEMS) and counter.asked == 0
