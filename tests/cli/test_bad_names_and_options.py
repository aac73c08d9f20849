"""Unknown names give the nearest ones; options that contradict each other or have no effect are refused."""

import json
from pathlib import Path

import pytest

from .running import done, refused

pytestmark = pytest.mark.usefixtures("toy_measures")


def study(folder: Path, **changes: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(json.dumps({"name": "one", "targets": ["testbed"], "measures": ["greeting"], **changes}))
    return path


UNKNOWN = {
    "measure": ({"measures": ["greetin"]}, "unknown measure 'greetin': did you mean greeting"),
    "treatment": ({"treatments": ["none", "dop"]}, "unknown treatment 'dop': did you mean dpo"),
    "attack": ({"attacks": ["direct", "prefil"]}, "unknown attack 'prefil': did you mean prefill"),
    "limit": ({"limits": {"greetings": 3}}, "unknown measure in limits 'greetings': did you mean greeting"),
    "field": ({"mesures": ["arc"]}, "mesures"),
    "treatment option": (
        {"treatments": ["none", {"name": "self_reminder", "strenght": "both"}]},
        "does not take the option 'strenght'",
    ),
    "measure option": ({"measures": [{"name": "greeting", "n": 3}]}, "does not take the option 'n'"),
    "primary": ({"primary": [{"measure": "arc", "metric": "x"}]}, "which the study does not run"),
    "data file": (
        {"treatments": ["none", {"name": "sft"}], "demonstrations": "data:ultrafeedback/x.jsonl"},
        "did you mean ultrafeedback_slice",
    ),
}
CONTRADICTORY = {
    "no baseline": ({"treatments": ["self_reminder"]}, "lack 'none'"),
    "a limit of none": ({"limit": 0}, "limit"),
    "a limit of none for one": ({"limits": {"greeting": 0}}, "limits.greeting"),
    "an attack without effect": ({"attacks": ["direct", "prefill"]}, "applies to none of the measures"),
    "the same arm twice": ({"treatments": ["none", "self_reminder", "self_reminder"]}, "two arms are called"),
    "the same target twice": ({"targets": ["testbed", "testbed"]}, "two arms are called"),
    "a rank without adapters": (
        {"treatments": ["none", {"name": "sft", "lora_rank": 4}]},
        "lora_rank 4 was given without lora",
    ),
    "a tariff of a local model": (
        {"targets": [{"model": "testbed", "tariff": {"input": 1, "output": 1}}]},
        "is not an endpoint, so it takes no tariff",
    ),
    "a precision of a server": (
        {"targets": [{"model": "openai:a@http://localhost:9/v1", "dtype": "float16"}]},
        "is served elsewhere, so it takes no dtype 'float16'",
    ),
    "a prompt of a recording": (
        {"targets": [{"model": "recorded:gpt4", "system_prompt": "Be nice."}]},
        "replays stored answers, so it takes no system_prompt 'Be nice.'",
    ),
}


@pytest.mark.parametrize("case", [*UNKNOWN, *CONTRADICTORY])
def test_a_study_that_cannot_be_meant(case: str, tmp_path: Path) -> None:
    changes, words = (UNKNOWN | CONTRADICTORY)[case]
    said = refused("study", "run", study(tmp_path, **changes), "--out", tmp_path / "out")
    assert words in said
    assert not (tmp_path / "out").exists()


def test_a_mistake_leaves_what_was_measured(tmp_path: Path, model: Path) -> None:
    whole = study(tmp_path, targets=[str(model)])
    done("study", "run", whole, "--out", tmp_path / "out")
    refused("study", "run", study(tmp_path, measures=["greetin"]), "--out", tmp_path / "out")
    answer = done("study", "run", study(tmp_path, targets=[str(model)]), "--out", tmp_path / "out")
    assert "0 verdicts made, 6 were there already" in answer.out


def test_more_of_the_same_command_line(tmp_path: Path, model: Path) -> None:
    out = ("--out", tmp_path / "out")
    assert "give two models" in refused("diff", model, model, *out)
    assert "did you mean quick" in refused("diff", model, "testbed", "--suite", "quik", *out)
    data = ("--data", tmp_path / "none.jsonl")
    assert "'sft' does not take the option 'beta'" in refused(
        "align", model, "--method", "sft", "--beta", 1, *data, *out
    )
    assert "does not take the option 'tau'" in refused(
        "align", model, "--method", "dpo", "--set", "tau=0.1", *data, *out
    )
    assert "--set 'tau' is not NAME=VALUE" in refused(
        "align", model, "--method", "ipo", "--set", "tau", *data, *out
    )
    assert "the value is not YAML" in refused(
        "align", model, "--method", "ipo", "--set", "tau=[0.1", *data, *out
    )
    assert "reduction 'max' is not known to ipo: give sum or mean" in refused(
        "align", model, "--method", "ipo", "--set", "reduction=max", *data, *out
    )
    assert "trains no weights" in refused("align", model, "--method", "self_reminder", *data, *out)
    assert "did you mean dpo" in refused("align", model, "--method", "dop", *data, *out)
    assert "cannot be read" in refused("align", model, "--method", "dpo", *data, *out)
    requests = tmp_path / "requests.txt"
    requests.write_text("Hello\n")
    assert "did you mean prefill" in refused("attack", model, "--with", "prefil", "--requests", requests)
    assert "did you mean xstest" in refused("data", "verify", "xtest")
    assert "not IN,OUT" in refused("measure", model, "-m", "greeting", "--tariff", "cheap", *out)
    assert "holds no study" in refused("report", tmp_path)
    assert "holds no study" in refused("study", "verify", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("targets: [a\nmeasures: [arc]\n", "not valid YAML at line"),
        ("- arc\n", "not a mapping"),
        ("", "not a mapping"),
        ("targets: ['${TRUELINE_TEST_UNSET}']\nmeasures: [arc]\n", "TRUELINE_TEST_UNSET"),
        ("targets: [testbed]\nmeasures: []\n", "measures"),
        ("targets: [testbed]\nmeasures: [greeting]\nlimit: many\n", "limit"),
    ],
)
def test_a_study_file_that_cannot_be_read(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    said = refused("study", "run", path, "--out", tmp_path / "out")
    assert words in said and str(path) in said


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \x00", None])
def test_files_that_are_not_text(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)
    out = ("--out", tmp_path / "out")
    assert str(path) in refused("study", "run", path, *out)
    assert str(path) in refused("align", "testbed", "--method", "sft", "--data", path, *out)
    if data != b"a: \x00":  # which is text, if an odd request
        assert str(path) in refused("attack", "testbed", "--with", "prefill", "--requests", path)
