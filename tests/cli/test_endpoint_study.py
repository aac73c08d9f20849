"""Studies of an endpoint, against a server on loopback: planned, priced, run, resumed."""

import json
from pathlib import Path
from typing import Any

import pytest

from trueline.studies.results import read_results

from .running import done, refused, trueline
from .stub_server import StubServer

pytestmark = pytest.mark.usefixtures("toy_measures")
# Answers of at most 4 tokens to 6 items, at a dollar a token: what is generated costs up to 24 dollars an arm.
DOLLAR_A_TOKEN = {"input": 0, "output": 1_000_000}
FAST = {"retries": 1, "backoff_s": 0.01}


def study(server: StubServer, folder: Path, **changes: Any) -> tuple[object, ...]:
    target = {
        "model": server.address,
        "label": "served",
        "system_prompt": "Be brief.",
        "tariff": DOLLAR_A_TOKEN,
        "endpoint": FAST,
        **changes.pop("target", {}),
    }
    settings = {
        "name": "served",
        "targets": [target],
        "treatments": ["none", "self_reminder", "dpo"],
        "measures": ["greeting", "liking"],
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(settings))
    return ("study", "run", path, "--out", folder / "out")


def test_a_plan_is_priced_and_asks_only_what_the_server_can(server: StubServer, tmp_path: Path) -> None:
    out = done(*study(server, tmp_path), "--dry-run").out
    assert "At the given tariff: roughly up to $48.00." in out
    assert out.count("not measurable: the target gives no score") == 2
    assert out.count("not measurable: treatment dpo: the target gives no gradients") == 2
    assert len(server.seen) == 1  # the probe
    assert not (tmp_path / "out").exists()


def test_a_study_end_to_end(server: StubServer, tmp_path: Path) -> None:
    out = done(*study(server, tmp_path)).out
    assert "12 verdicts made" in out
    asked = [body["messages"] for body in server.seen[1:]]
    assert len(asked) == 12 and all(turns[0]["role"] == "system" for turns in asked)
    assert [turns[0]["content"] for turns in asked].count("Be brief.") == 6
    assert sum(turns[0]["content"].startswith("Be brief.\n\nYou are a responsible") for turns in asked) == 6
    results = read_results(tmp_path / "out")
    states = {(cell.arm, cell.measure): cell.state for cell in results.cells}
    assert states["none", "greeting"] == states["self_reminder", "greeting"] == "done"
    assert {states[arm, "liking"] for arm in ("none", "self_reminder", "dpo")} == {"not measurable"}
    polite = results.cell("none", "greeting")
    assert polite is not None and polite.metrics["polite"].estimate.value == 1.0
    provenance = results.arms[0].provenance
    assert provenance["system_prompt"] == "Be brief." and provenance["reported model"] == "tiny"
    assert provenance["cost in USD"] >= 6 * 3 and provenance["epoch"] == "served"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "the target gives no score" in page and "Be brief." in page
    assert "0 verdicts made, 12 were there already" in done(*study(server, tmp_path)).out
    assert len(server.seen) == 1 + 12 + 1
    # What it costs and how patiently it is asked are no reason to ask again.
    changed = study(server, tmp_path, target={"tariff": None, "endpoint": {**FAST, "timeout_s": 50}})
    assert "0 verdicts made" in done(*changed).out


def test_no_more_than_the_cost_that_was_allowed(server: StubServer, tmp_path: Path) -> None:
    said = refused(*study(server, tmp_path), "--max-cost", 47)
    assert said.startswith("the study may cost about $48.00, over --max-cost 47")
    assert "over --max-cost" in refused(*study(server, tmp_path), "--max-cost", 47, "--dry-run")
    untold = study(server, tmp_path, target={"tariff": None})
    assert "cannot be held without the price of 'served'" in refused(*untold, "--max-cost", 47)
    assert len(server.seen) == 3 and not (tmp_path / "out").exists()
    done(*study(server, tmp_path), "--max-cost", 48)


def test_a_measure_is_priced_on_the_command_line(server: StubServer, tmp_path: Path) -> None:
    command = ("measure", server.address, "-m", "greeting", "--out", tmp_path / "out")
    assert "roughly up to $24.00" in done(*command, "--tariff", "0,1e6", "--dry-run").out
    assert "over --max-cost" in refused(*command, "--tariff", "0,1e6", "--max-cost", 10)
    out = done(*command, "--system-prompt", "Be kind.", "--limit", 2).out
    assert "2 verdicts made" in out and server.seen[-1]["messages"][0]["content"] == "Be kind."


def test_another_model_answers(server: StubServer, tmp_path: Path) -> None:
    one_by_one = {"endpoint": {**FAST, "concurrency": 1}}
    command = study(server, tmp_path, target=one_by_one, treatments=["none"])
    server.named = lambda number: "tiny" if number <= 4 else "huge"
    said = refused(*command)
    assert "was asked for 'tiny' but answered as 'huge'; nothing was scored" in said
    server.named = lambda number: "tiny"
    assert "3 verdicts made, 3 were there already" in done(*command).out
    server.named = lambda number: "huge"
    assert "answered as 'huge'" in refused(*command)
    aliased = study(server, tmp_path, target={"endpoint": {**FAST, "aliases": ["huge"]}}, treatments=["none"])
    # Under another name it is another target: its answers are not taken for those of the first.
    assert "6 verdicts made" in done(*aliased).out


def test_a_server_that_fails_for_a_while(server: StubServer, tmp_path: Path) -> None:
    one_by_one = {"endpoint": {**FAST, "retries": 0, "concurrency": 1}}
    command = study(server, tmp_path, target=one_by_one, treatments=["none"], measures=["greeting"])
    server.fail = lambda number: number > 3
    answer = trueline(*command)
    assert answer.code == 3
    assert "to resume: none · greeting (4 items): " in answer.sentence and "boom" in answer.sentence
    assert answer.out.splitlines()[-1] == str(tmp_path / "out" / "report.html")
    half = trueline("report", tmp_path / "out")
    assert half.code == 0
    server.fail = lambda number: False
    assert "4 verdicts made, 2 were there already" in done(*command).out


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    target = {"model": "openai:tiny@http://127.0.0.1:9/v1", "endpoint": FAST}
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps({"targets": [target], "measures": ["greeting"]}))
    said = refused("study", "run", path, "--out", tmp_path / "out", code=3)
    assert "'tiny'" in said and "connection failed" in said


@pytest.mark.parametrize(
    ("address", "endpoint", "words"),
    [
        ("openai:tiny", {}, "write openai:NAME@BASE_URL"),
        ("openai:a@https://me:hunter2@h.example/v1", {}, "key_env"),
        ("openai:a@https://h.example/v1", {}, "OPENAI_API_KEY is not set"),
        ("openai:a@https://h.example/v1", {"key_env": "TRUELINE_TEST_KEY"}, "TRUELINE_TEST_KEY is not set"),
        ("openai:a@http://localhost:9/v1", {"retires": 3}, "retires"),
        ("openai:a@http://localhost:9/v1", {"timeout_s": 0}, "timeout_s"),
        ("openai:a@http://localhost:9/v1", {"omit": ["messages"]}, "cannot omit the field 'messages'"),
        ("testbed", {"retries": 3}, "is not an endpoint, so it takes no endpoint"),
    ],
)
def test_what_cannot_be_an_endpoint(
    address: str, endpoint: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.yaml"
    target = {"model": address, **({"endpoint": endpoint} if endpoint else {})}
    path.write_text(json.dumps({"targets": [target], "measures": ["greeting"]}))
    said = refused("study", "run", path, "--out", tmp_path / "out")
    assert words in said and "hunter2" not in said
