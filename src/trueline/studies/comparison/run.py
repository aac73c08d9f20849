"""Running a comparison: train the worlds' models, tune on development worlds, judge on unseen ones; all resumable.

The folder holds ``development`` and ``evaluation`` (two ordinary studies) and ``comparison.json``: the methods so far,
what was chosen for each, and every trial's score. A later run with other methods adds to it; what is done is not done
again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.fingerprint import canonical
from trueline.studies.metric_results import MetricResult
from trueline.studies.plan import Plan, make_plan
from trueline.studies.progress import Progress, Silent
from trueline.studies.results import StudyResults, read_results
from trueline.studies.run import RunReport, run_study
from trueline.studies.store import make_folder

from .spec import ComparisonSpec, Criterion, MethodSpec

DEVELOPMENT, EVALUATION, RECORD = "development", "evaluation", "comparison.json"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting tried: the mean of the criterion over development worlds (higher is better), and of what it cost by
    the criterion's ``keep``; None where there is no value."""

    parameters: Mapping[str, Any]
    score: float | None
    cost: float | None = None


def run_comparison(
    spec: ComparisonSpec, out: Path, *, progress: Progress | None = None
) -> tuple[RunReport, Mapping[str, Sequence[Trial]]]:
    """Run what is not done yet. Raises what a study raises."""
    progress = progress or Silent()
    make_folder(out)
    spec = _with_earlier(spec, out)
    ready_worlds(spec, progress)
    tuned = [method for method in spec.methods if method.trials]
    trials: dict[str, Sequence[Trial]] = {}
    if tuned:
        run_study(development_plan(spec, tuned), out / DEVELOPMENT, progress=progress)
        trials = read_trials(spec, tuned, read_results(out / DEVELOPMENT, replicates=100))
    _record(spec, trials, out)
    report = run_study(evaluation_plan(spec, trials), out / EVALUATION, progress=progress)
    return report, trials


def ready_worlds(spec: ComparisonSpec, progress: Progress) -> None:
    """Train the models of the worlds that the cache does not hold."""
    from trueline.testbed.build import other_world

    for seed in (*spec.development, *spec.evaluation):
        with progress.bar(f"model of world {seed}", 1) as bar:
            other_world(seed, spec.size, progress=bar.update)


def development_plan(spec: ComparisonSpec, tuned: Sequence[MethodSpec]) -> Plan:
    """Every trial of every tuned method at its middle strength. Of a world that the cache holds no model of, one is
    trained first, which takes minutes (``ready_worlds`` tells how far it is)."""
    treatments = [
        {
            "name": method.name,
            "label": method.title,
            **spec.parameters(method),
            **method.middle,
            **{dial: list(values) for dial, values in method.tune.items()},
        }
        for method in tuned
    ]
    return make_plan(
        spec.study(spec.development, treatments, tuning=[spec.criterion(method) for method in tuned])
    )


def evaluation_plan(spec: ComparisonSpec, trials: Mapping[str, Sequence[Trial]]) -> Plan:
    """Every method at what was chosen for it, at each of its strengths."""
    treatments = [
        {
            "name": method.name,
            "label": method.title,
            **spec.parameters(method),
            **chosen(spec, method, trials),
            **{dial: list(values) for dial, values in method.strength.items()},
        }
        for method in spec.methods
    ]
    return make_plan(spec.study(spec.evaluation, treatments))


def chosen(
    spec: ComparisonSpec, method: MethodSpec, trials: Mapping[str, Sequence[Trial]]
) -> Mapping[str, Any]:
    """The trial with the best score (the first of equals) among those that cost no more than is allowed, or, where all
    cost more, the cheapest one; InputError where none has a score."""
    if not method.trials:
        return {}
    scored = [trial for trial in trials[method.title] if trial.score is not None]
    keep = spec.criterion(method).keep
    if keep is not None:
        scored = [trial for trial in scored if trial.cost is not None]
    if not scored:
        raise InputError(
            f"no trial of {method.title} has a score: nothing can be chosen; try other settings."
        )
    if keep is not None:
        allowed = [trial for trial in scored if _number(trial.cost) <= keep.loss]
        if not allowed:
            return min(scored, key=lambda trial: _number(trial.cost)).parameters
        scored = allowed
    return max(scored, key=lambda trial: _number(trial.score)).parameters


def read_trials(
    spec: ComparisonSpec, tuned: Sequence[MethodSpec], results: StudyResults
) -> dict[str, Sequence[Trial]]:
    """The criterion of every trial, averaged over development worlds; higher is better."""
    found: dict[str, Sequence[Trial]] = {}
    for method in tuned:
        criterion = spec.criterion(method)
        fixed = {**spec.parameters(method), **method.middle}
        read: dict[str, _Read] = {}
        for arm in results.arms:
            # another method may be the same treatment with a setting more: its trials are not this one's
            if arm.treatment != method.name or arm.parameters.keys() != {*fixed, *method.tune}:
                continue
            if not _is_of(arm.parameters, fixed):
                continue
            setting = {dial: arm.parameters[dial] for dial in method.tune}
            read.setdefault(canonical(setting), _Read(setting)).add(results, arm.label, criterion)
        found[method.title] = [
            Trial(parameters=each.setting, score=_mean(each.scores), cost=_mean(each.costs))
            for each in read.values()
        ]
    return found


@dataclass(slots=True)
class _Read:
    """What the development worlds say of one setting."""

    setting: Mapping[str, Any]
    scores: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def add(self, results: StudyResults, arm: str, criterion: Criterion) -> None:
        """One world's numbers, turned so that a higher score is better and a higher cost worse."""
        found = _metric(results, arm, criterion.measure, criterion.metric, criterion.attack)
        if found is not None and found.estimate.value is not None:
            sign = -1 if found.metric.worse == "higher" else 1
            self.scores.append(sign * found.estimate.value)
        if criterion.keep is None:
            return
        kept = _metric(results, arm, criterion.keep.measure, criterion.keep.metric, "direct")
        if kept is not None and kept.change is not None and kept.change.value is not None:
            self.costs.append(kept.change.value if kept.metric.worse == "higher" else -kept.change.value)


def _metric(results: StudyResults, arm: str, measure: str, metric: str, attack: str) -> MetricResult | None:
    cell = results.cell(arm, measure, attack)
    return None if cell is None else cell.metrics.get(metric)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float | None) -> float:
    assert value is not None, "trials without a value are left out before"
    return value


def _is_of(parameters: Mapping[str, Any], fixed: Mapping[str, Any]) -> bool:
    return all(canonical(parameters.get(name)) == canonical(value) for name, value in fixed.items())


def _with_earlier(spec: ComparisonSpec, out: Path) -> ComparisonSpec:
    """The methods of this run and those that the folder has already; other fields must be the same."""
    record = read_record(out)
    if record is None:
        return spec
    earlier = ComparisonSpec.model_validate(record["spec"])
    free = {"methods", "budgets", "seeds", "evaluation", "measures", "attacks", "limit", "limits"}
    for name in ComparisonSpec.model_fields.keys() - free:
        if canonical(_plain(getattr(earlier, name))) != canonical(_plain(getattr(spec, name))):
            raise InputError(
                f"{out} holds a comparison with another {name} ({getattr(earlier, name)}, now "
                f"{getattr(spec, name)}): methods would not be compared on equal terms; give another --out."
            )
    named = {method.title for method in spec.methods}
    kept = tuple(method for method in earlier.methods if method.title not in named)
    return spec.model_copy(update={"methods": (*kept, *spec.methods)})


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def read_record(out: Path) -> dict[str, Any] | None:
    """What the folder says of the comparison, or None where it holds none."""
    file = out / RECORD
    if not file.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is damaged ({error}); remove it and run the comparison again.") from error
    return content


def _record(spec: ComparisonSpec, trials: Mapping[str, Sequence[Trial]], out: Path) -> None:
    content = {
        "spec": spec.model_dump(mode="json"),
        "trials": {
            title: [{"parameters": dict(t.parameters), "score": t.score, "cost": t.cost} for t in found]
            for title, found in trials.items()
        },
        "chosen": {method.title: dict(chosen(spec, method, trials)) for method in spec.methods},
    }
    partial = out / f".{RECORD}.{os.getpid()}"
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.rename(out / RECORD)
