"""A finished study is known by its mark: nothing changed, nothing lost."""

import sqlite3
from pathlib import Path

import pytest
from toy_study import Counter

from trueline.studies.finished import finished_results, made_of, mark_finished
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import StudySpec, parse_spec

SPEC = parse_spec(
    {"name": "toy", "targets": ["toy"], "treatments": ["none", "contrary"], "measures": ["parity"]}
)


@pytest.fixture
def marked(counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    assert finished_results(SPEC, out) is None
    run_study(make_plan(SPEC), out)
    assert finished_results(SPEC, out) is None
    mark_finished(read_results(out), made_of())
    return out


def changed(**fields: object) -> StudySpec:
    return SPEC.model_copy(update=fields)


def test_a_marked_study_gives_its_results(marked: Path) -> None:
    results = finished_results(SPEC, marked)
    assert results is not None and results.verdict_count == 40 and results.complete


@pytest.mark.parametrize("other", [changed(limit=5), changed(seeds=(1,)), changed(name="other")])
def test_another_study_is_not_finished(marked: Path, other: StudySpec) -> None:
    assert finished_results(other, marked) is None


def test_a_study_that_ran_in_between_is_seen(marked: Path) -> None:
    run_study(make_plan(changed(limit=5)), marked)
    assert finished_results(SPEC, marked) is None


@pytest.mark.parametrize(
    "damage", ["DELETE FROM verdicts WHERE rowid = 7", "UPDATE verdicts SET content = '{}' WHERE rowid = 7"]
)
def test_a_lost_or_altered_verdict_is_seen(marked: Path, damage: str) -> None:
    with sqlite3.connect(marked / "store.sqlite") as database:
        assert database.execute(damage).rowcount == 1
    assert finished_results(SPEC, marked) is None


def test_a_new_judge_card_is_seen(marked: Path) -> None:
    cards = marked.parent / "cache" / "cards"
    cards.mkdir(parents=True)
    (cards / "judge.json").write_text("{}")
    assert finished_results(SPEC, marked) is None


def test_other_versions_are_seen(marked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.studies.finished.versions", lambda: {"trueline": "0"})
    assert finished_results(SPEC, marked) is None


def test_no_mark_where_the_package_changed_during_the_run(counter: Counter, tmp_path: Path) -> None:
    run_study(make_plan(SPEC), tmp_path)
    mark_finished(read_results(tmp_path), "another digest")
    assert finished_results(SPEC, tmp_path) is None
