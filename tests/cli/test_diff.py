"""`trueline diff`: the same items asked of a model and its fine-tune."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trueline.studies import presets
from trueline.studies.results import read_results

from .running import done, refused


@pytest.mark.usefixtures("toy_measures")
def test_a_fine_tune_against_its_base(
    model: Path, pairs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.SUITES, "quick", ({"greeting": 5, "liking": 5}, "no time"))  # type: ignore[arg-type]
    settings = ("--epochs", 2, "--batch-size", 2, "--learning-rate", 0.01)
    trained = done("align", model, "--method", "sft", "--data", pairs(), "--out", tmp_path / "a", *settings)
    tuned = Path(trained.out.splitlines()[-1])
    assert (tuned / "model.safetensors").is_file()
    again = done("align", model, "--method", "sft", "--data", pairs(), "--out", tmp_path / "a", *settings)
    assert again.out == trained.out
    answer = done("diff", model, tuned, "--limit", 4, "--out", tmp_path / "out")
    assert "16 verdicts made" in answer.out and "tuned" in answer.out
    results = read_results(tmp_path / "out")
    base, other = (results.arms[i].provenance["fingerprint"] for i in (0, 1))
    assert base != other
    cell = results.cell("tuned", "liking")
    assert cell is not None and cell.done == 4
    change = cell.metrics["polite"].change
    assert change is not None and change.n == 4


def test_models_of_the_testbed_and_a_name_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.SUITES, "quick", ({"arc": 6, "sycophancy": 6}, "no time"))
    said = refused("diff", "testbed:tiny", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert "there is no folder" in said and not (tmp_path / "out").exists()  # before anything is asked
    answer = done("diff", "testbed:tiny", "testbed:small", "--out", tmp_path / "out")
    assert "change [95 %]" in answer.out and "24 verdicts made" in answer.out
    arms = read_results(tmp_path / "out").arms
    assert [arm.provenance["name"] for arm in arms] == ["tiny", "small"]
    assert {arm.provenance["dtype"] for arm in arms} == {"float32"}
