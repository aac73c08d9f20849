"""Curves over scale in a study: laws need seeds, turns are said, capability is told from eight models on."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_study import Counter

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.messages import Completion, Prompt, Sampling, last_user
from trueline.reports.charts import size_chart
from trueline.reports.html import write_report
from trueline.studies import plan as plan_module
from trueline.studies.plan import make_plan
from trueline.studies.results import StudyResults, read_results
from trueline.studies.run import run_study
from trueline.studies.scaling import (
    ScaleCurve,
    Step,
    capability_tracking,
    scale_curves,
    told_of_capability,
    tracking_words,
)
from trueline.studies.spec import TargetSpec, parse_spec
from trueline.studies.subjects import Subject


class Knowing(Counter):
    """Right on the numbers below ``known``, wrong above."""

    def __init__(self, known: int) -> None:
        super().__init__()
        self.known = known
        self.name = f"knows {known}"

    def fingerprint(self) -> str:
        return self.name

    def describe(self) -> dict[str, Any]:
        return {"kind": "toy", "parameters": 10**6}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        number = int(last_user(prompt).split()[1])
        right = (number % 2 == 0) == (number < self.known)
        return (Completion(text="yes" if right else "no", tokens=1),)


def studied(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *sizes: tuple[int, float], **fields: Any
) -> StudyResults:
    """A study of models that know so many of twenty numbers, at these scales."""

    def load(spec: TargetSpec) -> Subject:
        return Subject(target=Knowing(int(spec.model.removeprefix("knows-"))))

    monkeypatch.setattr(plan_module, "load_subject", load)
    models = [
        {"model": f"knows-{known}", "label": f"{number}", "scale": scale}
        for number, (known, scale) in enumerate(sizes)
    ]
    spec = {"targets": ["knows-20"], "measures": ["parity"], "sizes": models, **fields}
    run_study(make_plan(parse_spec(spec)), folder)
    return read_results(folder)


STEPS = {"scale_axis": "training steps"}


def test_with_one_seed_there_is_no_law_and_inverse_scaling_is_said(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (curve,) = scale_curves(studied(monkeypatch, tmp_path, (20, 100), (19, 1000), (4, 10_000), **STEPS))
    assert [point.scale for point in curve.points] == [100, 1000, 10_000]
    assert curve.law is None and "3 sizes with 1 seeds" in curve.no_law
    assert [(step.first, step.last) for step in curve.steps] == [(100, 1000), (1000, 10_000), (100, 10_000)]
    assert curve.inverse and not curve.turns
    assert any(
        line.startswith("inverse scaling: worse by 0.8 from 100 to 1e+04 training steps")
        for line in curve.told
    )
    page = write_report(read_results(tmp_path), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Scale: the same measures against training steps" in page and "inverse scaling" in page


def test_a_turn_is_not_smoothed_away(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (curve,) = scale_curves(studied(monkeypatch, tmp_path, (2, 1), (20, 10), (3, 100), **STEPS))
    assert curve.turns and any(line.startswith("changes direction") for line in curve.told)


def test_five_sizes_with_three_seeds_have_a_law(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = [
        (known + seed, 10.0**size) for size, known in enumerate((2, 6, 10, 14, 18)) for seed in (-1, 0, 1)
    ]
    results = studied(monkeypatch, tmp_path, *sizes, **STEPS)
    (curve,) = scale_curves(results)
    assert curve.law is not None and curve.law.form == "line"
    assert curve.law.slope == pytest.approx(0.2) and curve.law.seed_sd == pytest.approx(0.05)
    assert not curve.inverse and curve.told[0].startswith("law: 0.1 +0.2·log10 x")
    assert size_chart(curve).count("<circle") == 15
    assert size_chart(curve).count('class="law"') == 1 and 'class="law"' not in size_chart(
        replace(curve, law=None)
    )


def test_capability_is_told_from_eight_models_on(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = capability_tracking(studied(monkeypatch, tmp_path / "few", (3, 1), (9, 10), **STEPS))
    assert few == []  # the toy measure is one of capability itself
    monkeypatch.setattr("toy_study.Liking.component", "alignment")
    monkeypatch.setattr("toy_study.Liking.needs", frozenset())
    both = {"measures": ["parity", "liking"], **STEPS}
    (one,) = capability_tracking(studied(monkeypatch, tmp_path / "two", (3, 1), (9, 10), **both))
    assert one.found is None and "3 models" in one.reason and "from 8 models" in tracking_words([one])[0]
    again = [(20, 1.0), *((3, 10.0 + n) for n in range(7))]  # nine arms of two models
    (one,) = capability_tracking(studied(monkeypatch, tmp_path / "again", *again, **both))
    assert one.found is None and "2 models" in one.reason
    sizes = [(known, 10.0 * known) for known in range(2, 18, 2)]
    (many,) = capability_tracking(studied(monkeypatch, tmp_path / "many", *sizes, **both))
    assert many.found is not None and many.found.models == 9 and many.found.only_capability
    assert "it tracks capability and little else" in tracking_words([many])[0]
    results = read_results(tmp_path / "many")
    assert told_of_capability(results) == [many]
    assert "tracks capability and little else" in write_report(results, tmp_path / "r.html").read_text()
    assert told_of_capability(replace(results, arms=results.arms[:1])) == []


def test_only_what_is_sure_counts() -> None:
    metric = Metric(name="harm", definition="d", worse="higher")
    curve = ScaleCurve(
        measure="m", title="M", metric=metric, axis="parameters", points=(), law=None, no_law="few",
        steps=(Step(first=1, last=2, value=0.5, p=0.2), Step(first=2, last=3, value=-0.5, p=0.01),
               Step(first=1, last=3, value=math.nan, p=None)),
    )  # fmt: skip
    assert not curve.inverse and not curve.turns
    worse = replace(curve, metric=replace(metric, worse="lower"))
    assert worse.inverse and not worse.turns
    neither = replace(curve, metric=replace(metric, worse="neither"))
    assert not neither.inverse


def test_an_axis_of_ones_own_needs_every_scale() -> None:
    spec = {"targets": ["a"], "measures": ["parity"], "sizes": ["b"], "scale_axis": "training tokens"}
    with pytest.raises(InputError, match="'b' of sizes needs its scale"):
        parse_spec(spec)
