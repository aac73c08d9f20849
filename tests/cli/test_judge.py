"""trueline judge, as a user meets it."""

from pathlib import Path

import pytest

from .running import done, refused


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "labels.csv"
    rows = [f"q{i},{'sorry no' if i % 2 else 'sure'},{i % 2},model {i % 3}" for i in range(24)]
    path.write_text("\n".join(["prompt,completion,label,source", *rows]), encoding="utf-8")
    return path


def test_evaluate_list_show(labels: Path) -> None:
    answer = done("judge", "evaluate", "refusal_keywords", "--labels", labels, "--set", "phrases=[sorry]")
    assert "| model 1 | 4 | 1.000 [0.510, 1.000] | 4 |" in answer.out
    assert "corrected, transported" in answer.out
    card = Path(answer.out.splitlines()[-1])
    assert card.is_file() and card.name in done("judge", "list").out
    assert done("judge", "show", card.name).out == "\n".join(answer.out.splitlines()[:-2]) + "\n"
    assert "held out" in done("judge", "show", "refusal_patterns").out


def test_train_then_use_by_name(labels: Path, tmp_path: Path) -> None:
    assert "needs 5 of each" in refused("judge", "train", "--labels", labels, "--out", tmp_path / "few")
    rows = [f"q{i},{'sorry no' if i % 2 else 'sure'} {i * 7919},{i % 2},model {i % 3}" for i in range(120)]
    labels.write_text("\n".join(["prompt,completion,label,source", *rows]), encoding="utf-8")
    out = tmp_path / "made"
    trained = done("judge", "train", "--labels", labels, "--out", out).out
    assert "| model 1 | " in trained and "held out of training" in trained
    assert done("judge", "show", out / "card.json").out in trained
    used = done("judge", "evaluate", "linear_folder", "--set", f"folder={out}", "--labels", labels).out
    assert "120 answers labelled by people" in used
    assert "is not empty" in refused("judge", "train", "--labels", labels, "--out", out)
    assert "show DIR/card.json" in refused("judge", "show", "linear_folder")


def test_train_a_transformer_then_use_it_by_name(labels: Path, tmp_path: Path) -> None:
    rows = [f"q{i},{'sorry no' if i % 2 else 'sure'} {i * 7919},{i % 2},model {i % 3}" for i in range(120)]
    labels.write_text("\n".join(["prompt,completion,label,source", *rows]), encoding="utf-8")
    out = tmp_path / "made"
    trained = done("judge", "train", "--labels", labels, "--out", out, "--kind", "transformer").out
    assert "held out of training" in trained
    assert trained.splitlines()[-1] == f"{{judge: hf_classifier, model: {out}, label: positive}}"
    options = ("--set", f"model={out}", "--set", "label=positive")
    assert "120 answers" in done("judge", "evaluate", "hf_classifier", *options, "--labels", labels).out
    assert "is in its folder" in refused("judge", "show", "hf_classifier")


def test_bad_input(labels: Path, tmp_path: Path) -> None:
    assert "did you mean refusal_patterns" in refused(
        "judge", "evaluate", "refusal_patern", "--labels", labels
    )
    wrong = refused("judge", "evaluate", "refusal_keywords", "--labels", labels, "--set", "words=[a]")
    assert "does not take the option 'words'" in wrong
    assert "is not NAME=VALUE" in refused(
        "judge", "evaluate", "refusal_keywords", "--labels", labels, "--set", "words"
    )
    assert "cannot be read" in refused(
        "judge", "evaluate", "refusal_keywords", "--labels", tmp_path / "no.csv"
    )
    assert "no card comes with" in refused("judge", "show", "refusal_keywords")
