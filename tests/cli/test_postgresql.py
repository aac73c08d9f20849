"""Every verb that takes a study's folder takes the URL of its store: one study on PostgreSQL, end to end."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from trueline.studies import presets
from trueline.studies.store_tables import open_engine

from .running import Answer, done, refused, trueline

pytestmark = pytest.mark.xdist_group("postgresql")  # one worker runs the study

STUDY = {
    "name": "shared",
    "targets": ["testbed:small"],
    "treatments": ["none", "self_reminder"],
    "measures": ["arc", {"name": "xstest", "max_tokens": 8}],
    "limits": {"arc": 12, "xstest": 60},
    "store": "${TRUELINE_TEST_STORE}",
}


@dataclass(frozen=True)
class Shared:
    """A finished study on a server, the folder of its file, and what its run printed."""

    url: str
    folder: Path
    ran: Answer


@pytest.fixture(scope="module")
def shared(new_schema: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Shared:
    # The socket asks for no password, so that one which must not be shown can stand in the URL.
    url, folder = new_schema().replace("postgres@", "postgres:hunter2@"), tmp_path_factory.mktemp("shared")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return Shared(url=url, folder=folder, ran=run(url, folder))


def run(url: str, folder: Path) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUELINE_TEST_STORE", url)
        return done("study", "run", folder / "study.yaml", "--out", folder / "out")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written beside a URL goes into the working folder."""
    monkeypatch.chdir(tmp_path)


def test_a_run_stores_there_and_resumes(shared: Shared) -> None:
    assert shared.ran.out.splitlines()[-1] == str(shared.folder / "out" / "report.html")
    assert not list((shared.folder / "out").rglob("*.sqlite"))
    assert "hunter2" not in shared.ran.out + shared.ran.err
    assert "0 verdicts made" in run(shared.url, shared.folder).out


def test_verify_finds_an_altered_row_and_the_next_run_redoes_it(shared: Shared) -> None:
    assert "All whole." in done("study", "verify", shared.url).out
    engine = open_engine(shared.url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE verdicts SET content = replace(content, '1.0', '0.0') "
                "WHERE key = (SELECT min(key) FROM verdicts WHERE content LIKE '%1.0%')"
            )
        )
    engine.dispose()
    answer = trueline("study", "verify", shared.url)
    assert answer.code == 3 and "1 rows do not match their digests" in answer.err
    assert "1 verdicts made" in run(shared.url, shared.folder).out
    assert "All whole." in done("study", "verify", shared.url).out


def test_report_compare_and_gate(shared: Shared) -> None:
    assert done("report", shared.url).out == f"{Path('report.html').resolve()}\n"
    page = Path("report.html").read_text(encoding="utf-8")
    assert "self_reminder" in page and "hunter2" not in page
    assert "| arc" in done("report", shared.url, "--markdown").out
    assert "arc.accuracy_norm" in done("compare", shared.url, "none", "self_reminder").out
    rule = {"measure": "arc", "metric": "accuracy_norm", "arm": "none", "min": 0.0}
    Path("policy.yaml").write_text(json.dumps({"rules": [rule]}))
    assert "pass" in done("gate", shared.url, "--policy", "policy.yaml", "--junit", "gate.xml").out
    assert Path("gate.xml").exists()


def test_label(shared: Shared) -> None:
    done("label", shared.url, "--n", 30, "--csv", "sheet.csv")
    with open("sheet.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with open("sheet.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": "1" if "sorry" in row["answer"].lower() else "0"} for row in rows)
    said = done("label", shared.url, "--n", 30, "--import", "sheet.csv", "--labeller", "me").out
    assert f"{len(rows)} of {len(rows)} answers labelled" in said
    assert "prediction-powered with" in done("compare", shared.url, "none", "self_reminder").out


def test_export(shared: Shared) -> None:
    done("export", shared.url, "--to", "model-card", "--arm", "none")
    assert "hunter2" not in Path("model-card/README.md").read_text(encoding="utf-8")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra parquet)")
    done("export", shared.url, "--to", "parquet")
    assert Path("parquet/estimates.parquet").exists()


def test_export_to_inspects_logs(shared: Shared) -> None:
    inspect_log = pytest.importorskip(
        "inspect_ai.log", reason="inspect-ai is not installed (the extra inspect)"
    )
    written = [Path(line) for line in done("export", shared.url, "--to", "inspect").out.splitlines()]
    logs = [inspect_log.read_eval_log(str(path)) for path in written if path.suffix in (".eval", ".json")]
    assert sorted(log.eval.task.split("/")[-1] for log in logs) == ["arc", "arc", "xstest", "xstest"]
    for log in logs:  # XSTest's controls are samples too
        assert len(log.samples) == log.results.total_samples == log.eval.dataset.samples
    assert all("hunter2" not in log.model_dump_json() for log in logs)


def test_diff_and_measure_keep_theirs_there(
    new_schema: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.SUITES, "quick", ({"arc": 6, "sycophancy": 6}, "no time"))
    url = new_schema().replace("postgres@", "postgres:hunter2@")
    models = ("testbed:tiny", "testbed:small")
    said = done("diff", *models, "--store", url, "--out", tmp_path / "out")
    assert "24 verdicts made" in said.out and "hunter2" not in said.out + said.err
    assert "0 verdicts made" in done("diff", *models, "--store", url, "--out", tmp_path / "out").out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html"}
    assert "arc.accuracy_norm" in done("compare", url, "base", "tuned").out
    assert "All whole." in done("study", "verify", url).out
    other = ("testbed:tiny", "-m", "arc", "--limit", 2, "--out", tmp_path / "out")
    said_of_another = refused("measure", *other, "--store", url)
    assert "holds the study" in said_of_another and "hunter2" not in said_of_another
    assert "2 verdicts made" in done("measure", *other, "--store", new_schema()).out


def test_what_is_no_store_is_one_sentence_without_the_password(shared: Shared) -> None:
    empty = shared.url.replace("search_path%3D", "search_path%3Dnowhere")
    for verb in (("report",), ("study", "verify"), ("label",), ("compare",)):
        arms = ("none", "none") if verb == ("compare",) else ()
        said = refused(*verb, empty, *arms)
        assert "holds no study; run one on it first" in said and "hunter2" not in said, verb
    said = refused("study", "run", shared.folder / "study.yaml", "--out", shared.url, "--limit", 2)
    assert "hunter2" not in said


def test_out_takes_no_url(new_schema: Callable[[], str]) -> None:
    said = refused("measure", "testbed:tiny", "-m", "arc", "--limit", 2, "--out", new_schema())
    assert said.startswith("postgresql:// is an address and --out takes a folder")
