import sqlite3
from pathlib import Path

import pytest
from toy_study import Counter

from trueline.core.errors import InputError, UnfinishedError
from trueline.studies.compare import compare_arms
from trueline.studies.frontier import Axis, frontier
from trueline.studies.gate import Policy, gate, junit
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import RunReport, run_study
from trueline.studies.spec import parse_spec

STUDY = {
    "name": "toy",
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": ["parity", "liking"],
    "primary": [{"measure": "parity", "metric": "right"}],
}


def run(out: Path, **changes: object) -> RunReport:
    return run_study(make_plan(parse_spec({**STUDY, **changes})), out)


def test_whole_study(counter: Counter, tmp_path: Path) -> None:
    report = run(tmp_path)
    assert (report.made, report.stored, report.unfinished) == (40, 0, ())
    results = read_results(tmp_path)
    cell = results.cell("none", "parity")
    assert cell is not None and cell.state == "done"
    assert (cell.planned, cell.done, cell.missing) == (20, 20, 1)
    assert cell.reasons == {"neither yes nor no": 1}
    right = cell.metrics["right"].estimate
    # 13 has no verdict; yes is right for the 10 even numbers of the 19 that have one.
    assert right.n == 19 and right.missing == 1
    assert right.value == pytest.approx(10 / 19)
    assert right.bound_low == pytest.approx(10 / 20) and right.bound_high == pytest.approx(11 / 20)


def test_what_cannot_be_measured_says_why(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path)
    cell = read_results(tmp_path).cell("none", "liking")
    assert cell is not None and cell.state == "not measurable"
    assert cell.reason == "the target gives no score"


def test_again_asks_nothing(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path)
    asked = counter.asked
    report = run(tmp_path)
    assert counter.asked == asked
    assert (report.made, report.stored) == (0, 40)


def test_more_items_ask_only_the_new_ones(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path, limit=5)
    assert counter.asked == 5
    run(tmp_path, limit=12)
    assert counter.asked == 12


def test_resumes_after_an_endpoint_that_stays_away(counter: Counter, tmp_path: Path) -> None:
    counter.fail_after = 7
    report = run(tmp_path)
    assert report.made == 27 and "13 items" in report.unfinished[0]
    half = read_results(tmp_path).cell("none", "parity")
    assert half is not None and half.state == "half" and half.done == 7
    counter.fail_after = None
    report = run(tmp_path)
    assert (report.made, report.stored, report.unfinished) == (13, 27, ())
    assert counter.asked == 20 + 13  # the 13 that failed once, and then the 13 again


def test_a_crash_keeps_what_was_made(counter: Counter, tmp_path: Path) -> None:
    counter.fail_after, counter.error = 7, InputError
    with pytest.raises(InputError, match="stopped"):
        run(tmp_path)
    counter.fail_after = None
    assert run(tmp_path).stored == 7


def test_same_results_after_interruption(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path / "whole")
    counter.asked, counter.fail_after = 0, 3
    run(tmp_path / "cut")
    counter.fail_after = None
    run(tmp_path / "cut")
    whole, cut = (read_results(tmp_path / name).cells for name in ("whole", "cut"))
    assert [c.metrics for c in whole] == [c.metrics for c in cut]


def test_paired_change_is_primary_and_corrected(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path)
    cell = read_results(tmp_path).cell("contrary", "parity")
    assert cell is not None
    result = cell.metrics["right"]
    # All 19 paired answers flip: 10 right become wrong, 9 wrong become right (13 has no pair).
    assert result.change is not None and result.change.n == 19
    assert result.change.value == pytest.approx(-1 / 19)
    assert result.family == "primary" and result.p_adjusted == pytest.approx(1.0)
    assert result.effect == "unclear"


def test_damaged_store_is_one_sentence(counter: Counter, tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match="not a Trueline store"):
        run(tmp_path)


def test_full_disk_keeps_what_was_stored(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path, limit=5)
    # SQLite itself raises SQLITE_FULL when the file may not grow: the same path as a full disk.
    import sqlalchemy as sa

    def cap(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    sa.event.listen(sa.engine.Engine, "connect", cap)
    try:
        with pytest.raises(UnfinishedError, match="full"):
            run(tmp_path, measures=[{"name": "parity", "count": 5000}])
    finally:
        sa.event.remove(sa.engine.Engine, "connect", cap)
    report = run(tmp_path, limit=5)
    assert (report.made, report.stored) == (0, 10)


def test_unwritable_folder(counter: Counter, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(InputError, match="cannot write to the output folder"):
        run(blocker / "inside")


def test_compare_and_gate_and_frontier(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path)
    (row,) = [c for c in compare_arms(tmp_path, "contrary", "none") if c.cell.measure == "parity"]
    assert row.change is not None and row.change.value == pytest.approx(1 / 19)
    results = read_results(tmp_path)
    rules = [
        {"measure": "parity", "metric": "right", "min": 0.1},
        {"measure": "parity", "metric": "right", "min": 0.5},
        {"measure": "parity", "metric": "right", "max": 0.1},
        {"measure": "parity", "metric": "right", "of": "change", "at": "estimate", "min": -0.2},
        {"measure": "liking", "metric": "right", "max": 1},
    ]
    result = gate(results, Policy.model_validate({"rules": rules}))
    assert [r.outcome for r in result.rules] == ["pass", "inconclusive", "fail", "pass", "inconclusive"]
    assert result.outcome == "fail"
    xml = junit(result)
    assert 'tests="5" failures="1" errors="2"' in xml
    axis = Axis(measure="parity", metric="right")
    drawn = frontier(results, axis, axis)
    assert drawn is not None and len(drawn.points) == 2


def test_the_baseline_has_no_change_to_hold(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path, treatments=["none"])
    rule = {"measure": "parity", "metric": "right", "of": "change", "max": 1}
    (held,) = gate(read_results(tmp_path), Policy.model_validate({"rules": [rule]})).rules
    assert held.outcome == "inconclusive" and "the baseline itself" in held.words


def test_half_finished_gate_is_inconclusive(counter: Counter, tmp_path: Path) -> None:
    counter.fail_after = 3
    run(tmp_path, treatments=["none"])
    policy = Policy.model_validate({"rules": [{"measure": "parity", "metric": "right", "max": 1}]})
    (rule,) = gate(read_results(tmp_path), policy).rules
    assert rule.outcome == "inconclusive" and "3 of 20" in rule.words
