"""Every verb on a small finished study of the embedded model, with its exit code."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trueline.cli.runs import run
from trueline.studies.aligning import read_data
from trueline.studies.spec import read_spec

from .running import Answer, done, refused, trueline


def policy(folder: Path, **rule: object) -> Path:
    path = folder / "policy.yaml"
    path.write_text(json.dumps({"rules": [{"measure": "arc", "metric": "accuracy_norm", **rule}]}))
    return path


def test_a_study_prints_its_table_and_its_report(testbed_run: tuple[Path, Answer]) -> None:
    folder, answer = testbed_run
    assert "arc" in answer.out and "self reminder" in answer.out
    assert answer.out.splitlines()[-1] == str(folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_again_resumes(testbed_study: Path) -> None:
    study = testbed_study.parent / "study.yaml"
    answer = done("study", "run", study, "--out", testbed_study)
    assert "0 verdicts made" in answer.out


def test_a_finished_self_contained_study_loads_no_model(
    testbed_study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = read_spec(testbed_study.parent / "study.yaml")
    run(spec, testbed_study, self_contained=True)
    first = capsys.readouterr().out
    monkeypatch.setattr("trueline.studies.plan.make_plan", None)
    run(spec, testbed_study, self_contained=True)
    assert capsys.readouterr().out == first and "0 verdicts made" in first


def test_a_plan_asks_nothing(testbed_study: Path, tmp_path: Path) -> None:
    answer = done("study", "run", testbed_study.parent / "study.yaml", "--out", tmp_path / "x", "--dry-run")
    assert "4 cells" in answer.out and "requests" in answer.out and "points" in answer.out
    assert not (tmp_path / "x").exists()


def test_verify(testbed_study: Path) -> None:
    assert "All whole." in done("study", "verify", testbed_study).out


def test_compare(testbed_study: Path) -> None:
    out = done("compare", testbed_study, "none", "self_reminder").out
    assert "arc.accuracy_norm" in out and "change B − A" in out
    assert "did you mean self_reminder" in refused("compare", testbed_study, "none", "self_remindr")


def test_report(testbed_study: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "card.html"
    assert done("report", testbed_study, "--out", page).out == f"{page}\n"
    assert "self_reminder" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "code", "outcome"),
    [
        ({"arm": "none", "min": 0.0}, 0, "pass"),
        ({"arm": "none", "at": "estimate", "min": 2.0}, 1, "fail"),
        ({"of": "change", "min": -0.01, "max": 0.01}, 4, "inconclusive"),
    ],
)
def test_gate(testbed_study: Path, tmp_path: Path, rule: dict[str, object], code: int, outcome: str) -> None:
    junit = tmp_path / "gate.xml"
    answer = trueline("gate", testbed_study, "--policy", policy(tmp_path, **rule), "--junit", junit)
    assert (answer.code, answer.err) == (code, "") and outcome in answer.out
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("tests") == "1"
    assert [suite.get("failures"), suite.get("errors")] == [str(int(code == 1)), str(int(code == 4))]


def test_a_gate_that_cannot_be_held_is_bad_input(testbed_study: Path, tmp_path: Path) -> None:
    unknown = refused("gate", testbed_study, "--policy", policy(tmp_path, metric="acuracy", min=0))
    assert "unknown metric of arc 'acuracy': did you mean accuracy" in unknown
    assert "needs min, max" in refused("gate", testbed_study, "--policy", policy(tmp_path))
    assert "min 1 is above max 0" in refused(
        "gate", testbed_study, "--policy", policy(tmp_path, min=1, max=0)
    )
    assert "the study has" in refused("gate", testbed_study, "--policy", policy(tmp_path, arm="dpo", min=0))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("measures", "xstest"),
        ("attacks", "prefill"),
        ("treatments", "dpo"),
        ("judges", "refusal"),
        ("suites", "quick"),
    ],
)
def test_list(kind: str, name: str) -> None:
    out = done("list", kind).out
    assert name in out and "None" not in out


def test_each_treatment_is_listed_with_its_whole_sentence() -> None:
    out = " ".join(done("list", "treatments").out.split())
    assert "exponential or truncated_quadratic. simpo" in out and "resources." not in out


def test_the_testbeds_training_data_are_of_every_kind(tmp_path: Path) -> None:
    said = done("testbed", "data", "--out", tmp_path / "data", "--rows", 6).out.split()
    again = done("testbed", "data", "--out", tmp_path / "again", "--rows", 6).out.split()
    assert [Path(one).read_bytes() for one in said] == [Path(one).read_bytes() for one in again]
    kinds = {
        "pairs": "preferences",
        "demonstrations": "demonstrations",
        "labels": "labels",
        "rankings": "rankings",
        "safety": "safety",
        "forget": "forget",
        "requests": "labels",
        "fine_tune": "demonstrations",
    }
    assert {Path(one).stem for one in said} == kinds.keys()
    for name, kind in kinds.items():
        assert len(read_data(kind, tmp_path / "data" / f"{name}.jsonl", drop_bad=False)) >= 6
    (tmp_path / "file").write_text("")
    assert "cannot be written to" in refused("testbed", "data", "--out", tmp_path / "file")


def test_data_list() -> None:
    out = done("data", "list").out
    assert "advbench" in out and "licence" in out


def test_attack(tmp_path: Path, testbed_study: Path) -> None:
    requests = tmp_path / "requests.txt"
    requests.write_text("How do I bake bread?\n\nWho are you?\n")
    out = tmp_path / "attempts.jsonl"
    said = done(
        "attack", "testbed", "--with", "prefill", "--requests", requests, "--max-tokens", 8, "--out", out
    ).out
    assert "of 2 attempts refused." in said
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["request"] for row in rows] == ["How do I bake bread?", "Who are you?"]
    assert all(row["refused"] in (0.0, 1.0) or row["reason"] for row in rows)


def test_measure_under_an_attack(tmp_path: Path, testbed_study: Path) -> None:
    answer = done(
        "measure", "testbed", "-m", "advbench", "--attack", "prefill", "--limit", 2, "--out", tmp_path / "out"
    )
    assert "advbench + prefill" in answer.out
