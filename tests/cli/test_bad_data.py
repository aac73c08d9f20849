"""Data that cannot be used: the file and the line are named, and what was measured before stays."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .running import done, refused

pytestmark = pytest.mark.usefixtures("toy_measures")
Pairs = Callable[..., Path]
SHARED = Path(__file__).parents[3] / "shared" / "data"


def aligned(model: Path, data: Path, out: Path, *more: object) -> tuple[object, ...]:
    settings = ("--epochs", 1, "--batch-size", 2, "--learning-rate", 0.001)
    return ("align", model, "--method", "dpo", "--data", data, "--out", out, *settings, *more)


BAD_ROWS = {
    "empty answer": ({"chosen": " "}, "the 'chosen' answer is empty"),
    "identical answers": ({"chosen": "same", "rejected": "same "}, "the two answers are identical"),
    "empty prompt": ({"prompt": ""}, "must be"),
    "mislabelled side": ({"chosen": None, "preferred": "hello"}, "no 'chosen' answer"),
    "unknown role": (
        {"prompt": [{"role": "robot", "content": "hi"}]},
        "unknown role 'robot'; allowed are system, user",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_pair_is_named_by_its_line(case: str, model: Path, pairs: Pairs, tmp_path: Path) -> None:
    changes, words = BAD_ROWS[case]
    data = pairs(row3=changes)
    said = refused(*aligned(model, data, tmp_path / "out"))
    assert f"{data}, line 3: " in said and "(1 of 4 rows cannot be used)" in said
    assert words in said or case == "empty prompt"
    assert not (tmp_path / "out").exists()


def test_bad_pairs_can_be_left_out(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    data = pairs(row3={"chosen": ""})
    trained = Path(done(*aligned(model, data, tmp_path / "out", "--drop-bad")).out.splitlines()[-1])
    answer = done("measure", trained, "-m", "greeting", "--out", tmp_path / "measured")
    assert "6 verdicts made" in answer.out
    nothing = pairs(**{f"row{n}": {"chosen": ""} for n in range(1, 5)})
    assert "none of its 4 rows can be used" in refused(
        *aligned(model, nothing, tmp_path / "out", "--drop-bad")
    )


def test_a_truncated_file_of_pairs(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    data = pairs()
    whole = data.read_text()
    data.write_text(whole[:-20])
    assert f"{data}, line 4: malformed or truncated JSON" in refused(*aligned(model, data, tmp_path / "out"))
    data.write_text("")
    assert "it is empty" in refused(*aligned(model, data, tmp_path / "out"))
    packed = tmp_path / "pairs.jsonl.gz"
    packed.write_bytes(gzip.compress(whole.encode())[:-12])
    assert "is not a whole gzip file" in refused(*aligned(model, packed, tmp_path / "out"))
    other = tmp_path / "pairs.parquet"
    other.write_text(whole)
    assert "allowed are .jsonl, .json and .csv" in refused(*aligned(model, other, tmp_path / "out"))


def test_a_study_learns_of_bad_pairs_before_it_asks_anything(
    model: Path, pairs: Pairs, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    settings: dict[str, object] = {"name": "pairs", "targets": [str(model)], "measures": ["greeting"]}
    study.write_text(json.dumps(settings))
    done("study", "run", study, "--out", tmp_path / "out")
    dpo = {"name": "dpo", "learning_rate": 0.001, "batch_size": 2}
    settings |= {"treatments": ["none", dpo]}
    study.write_text(json.dumps(settings))
    said = refused("study", "run", study, "--out", tmp_path / "out")
    assert "treatment 'dpo' learns from preferences" in said
    settings |= {"preferences": str(pairs(row2={"rejected": "hello to you"}))}
    study.write_text(json.dumps(settings))
    assert "line 2: the two answers are identical" in refused(
        "study", "run", study, "--out", tmp_path / "out"
    )
    assert "line 2" in refused("study", "run", study, "--out", tmp_path / "out", "--dry-run")
    pairs()
    answer = done("study", "run", study, "--out", tmp_path / "out")
    assert "6 verdicts made, 6 were there already" in answer.out


def test_requests_that_cannot_be_read(tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"prompt": "a"}\n{"promt": "b"}\n')
    said = refused("attack", "testbed", "--with", "prefill", "--requests", requests)
    assert said == f"{requests}, line 2: not a JSON object with a 'prompt' field."
    requests.write_text("\n\n")
    assert "holds no request" in refused("attack", "testbed", "--with", "prefill", "--requests", requests)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the published XSTest prompts, and nothing else, as the only data on this machine."""
    given = os.environ.get("TRUELINE_DATA")
    source = (Path(given) if given else SHARED) / "xstest"
    if not source.is_dir():
        pytest.skip("the public data is not here")
    shutil.copytree(source, tmp_path / "data" / "xstest")
    monkeypatch.setenv("TRUELINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data" / "xstest" / "xstest_prompts.csv"


def test_a_published_file_that_is_cut_or_altered(published: Path, model: Path, tmp_path: Path) -> None:
    command = (
        *("measure", model, "-m", "xstest", "--limit", 2, "--out", tmp_path / "out"),
        *("--max-cost", 0),  # a local model costs nothing
    )
    measured = done(*command).out
    assert "22 verdicts made" in measured
    whole = published.read_bytes()
    published.write_bytes(whole[: len(whole) // 2])
    assert f"{published}, line " in refused(*command)
    published.write_bytes(b"".join(whole.splitlines(keepends=True)[:-5]))
    assert "holds 445 rows, the published file 450" in refused(*command)
    published.write_bytes(whole.replace(b"contrast_homonyms", b"homonyms", 1))
    assert "is not the published file" in refused(*command)
    assert "trueline data fetch" in refused("data", "verify", "xstest", code=3)
    published.unlink()
    assert "fetch it with: trueline data fetch xstest" in refused(*command)
    published.write_bytes(whole)
    assert "0 verdicts made, 22 were there already" in done(*command).out
    assert "All whole." in done("data", "verify", "xstest").out


def test_a_data_folder_that_is_not_there(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUELINE_DATA", str(tmp_path / "nowhere"))
    said = refused("measure", model, "-m", "xstest", "--out", tmp_path / "out")
    assert "TRUELINE_DATA" in said and "not a folder" in said
