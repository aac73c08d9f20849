"""Exports read back: no number loses its interval, n and missing count."""

import math
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from toy_study import Counter

from trueline.core.errors import InputError
from trueline.core.verdicts import Estimate
from trueline.interop.export import export
from trueline.interop.formats import Format
from trueline.studies.plan import make_plan
from trueline.studies.results import StudyResults, read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

# Parity has a missing verdict; Liking cannot be measured on the toy target.
STUDY = {
    "name": "toy",
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": ["parity", "liking"],
}
NUMBERS = (
    "value",
    "low",
    "high",
    "interval",
    "n",
    "missing",
    "clusters",
    "bound_low",
    "bound_high",
    "p",
    "note",
)


@pytest.fixture
def study(counter: Counter, tmp_path: Path) -> Path:
    run_study(make_plan(parse_spec(STUDY)), tmp_path / "run")
    return tmp_path / "run"


def numbers(row: dict, *, but: tuple[str, ...] = ()) -> dict:
    return {name: row.get(name) for name in NUMBERS if name not in but}


def of(results: StudyResults, arm: str) -> tuple[Estimate, Estimate | None]:
    metric = results.cell(arm, "parity").metrics["right"]
    return metric.estimate, metric.change


def test_parquet_holds_every_estimate_and_every_verdict(study: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    export(study, Format.PARQUET, tmp_path / "out")
    results = read_results(study)
    table = parquet.read_table(tmp_path / "out" / "estimates.parquet")
    assert table.schema.metadata[b"plan"].decode() == results.plan["hash"]
    rows = {(row["arm"], row["measure"], row["of"]): row for row in table.to_pylist()}
    level, change = of(results, "contrary")
    assert numbers(rows["contrary", "parity", "value"]) == numbers(asdict(level))
    assert numbers(rows["contrary", "parity", "change"]) == numbers(asdict(change))
    assert (level.n, level.missing) == (20, 0) and of(results, "none")[0].missing == 1
    assert rows["none", "parity", "value"]["missing"] == 1 and ("none", "parity", "change") not in rows
    assert rows["none", "liking", None]["not_measurable"] == "the target gives no score"
    verdicts = parquet.read_table(tmp_path / "out" / "verdicts.parquet").to_pylist()
    assert len(verdicts) == 40
    (lost,) = [row for row in verdicts if row["reason"]]
    assert (lost["item"], lost["reason"], lost["value"]) == ("13", "neither yes nor no", None)
    kept = [row["value"] for row in verdicts if row["arm"] == "none" and row["field"] == "right"]
    assert sum(kept) / len(kept) == of(results, "none")[0].value


def test_inspect_logs_are_read_by_inspect(study: Path, tmp_path: Path) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log

    paths = export(study, Format.INSPECT, tmp_path / "logs")
    assert len(list_eval_logs(str(tmp_path / "logs"))) == len(paths) == 4
    logs = {(log.eval.task, log.eval.metadata["arm"]): log for log in map(read_eval_log, map(str, paths))}
    results = read_results(study)
    log = logs["parity", "none"]
    level, _ = of(results, "none")
    (score,) = log.results.scores
    assert (score.name, score.scored_samples, score.unscored_samples) == ("right", level.n, level.missing)
    assert {name: metric.value for name, metric in score.metrics.items()} == {
        "value": level.value, "low": level.low, "high": level.high,
    }  # fmt: skip
    assert score.metadata["estimate"] == asdict(level)
    assert logs["parity", "contrary"].results.scores[0].metadata["change"] == asdict(
        of(results, "contrary")[1]
    )
    samples = {sample.id: sample for sample in log.samples}
    assert len(samples) == 20 == log.results.total_samples
    assert (samples["4"].input[0].text, samples["4"].output.completion) == ("Is 4 even?", "yes")
    assert samples["4"].scores["right"].value == 1.0 and samples["3"].scores["right"].value == 0.0
    assert math.isnan(samples["13"].scores["right"].value)
    assert samples["13"].scores["right"].explanation == "neither yes nor no"
    assert log.stats.model_usage[log.eval.model].output_tokens == 20
    assert logs["liking", "none"].status == "error"
    assert logs["liking", "none"].error.message == "not measurable: the target gives no score"


def test_a_model_card_carries_the_hubs_metadata(study: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    (path,) = export(study, Format.MODEL_CARD, tmp_path / "card", arm="contrary")
    card = ModelCard.load(path)
    level, change = of(read_results(study), "contrary")
    (result,) = card.data.eval_results
    assert (result.dataset_type, result.metric_type, result.metric_value) == ("parity", "right", level.value)
    assert numbers(result.metric_args, but=("value",)) == numbers(asdict(level), but=("value",))
    assert numbers(result.metric_args["change"]) == numbers(asdict(change))
    assert re.fullmatch(r"[0-9a-f]{32}", result.dataset_revision)
    assert "| Parity | right (higher is better) | 50.0 [" in card.text and "A toy." in card.text
    assert "not measurable: the target gives no score" in card.text
    assert yaml.safe_load(path.read_text().split("---")[1])["model-index"][0]["name"] == "toy"


def test_what_does_not_fit_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name it with --arm: 'none', 'contrary'"):
        export(study, Format.MODEL_CARD, tmp_path)
    with pytest.raises(InputError, match="did you mean contrary"):
        export(study, Format.MODEL_CARD, tmp_path, arm="contrry")
    with pytest.raises(InputError, match="goes with --to model-card only"):
        export(study, Format.PARQUET, tmp_path, arm="none")
    with pytest.raises(InputError, match="holds no study"):
        export(tmp_path / "nowhere", Format.PARQUET, tmp_path)
