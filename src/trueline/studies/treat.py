"""Applying an arm's treatment: training data and reward are found, the treated target comes out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.messages import from_json
from trueline.core.protocols import Resources, Target, Treatment
from trueline.data.labelled import as_labelled, labelled, read_labelled
from trueline.data.preferences import (
    Demonstration,
    PreferencePair,
    as_demonstrations,
    read_demonstrations,
    read_preferences,
)
from trueline.data.rankings import RankedAnswers, as_rankings, read_rankings

from .arms import Arm
from .helpers import helper_targets
from .lacking import lacking
from .progress import Progress
from .spec import StudySpec, TargetSpec
from .subjects import Subject

TRAINED_MODELS = "models"


def apply_treatment(
    arm: Arm, subject: Subject, spec: StudySpec, out: Path, progress: Progress
) -> Target | str:
    """The treated target, or why this treatment cannot be applied to this target."""
    treatment: Treatment = make("treatment", arm.treatment, arm.parameters)
    reason = lacking(treatment.needs, subject.target.capabilities)
    if reason is not None:
        return f"treatment {arm.treatment}: {reason}"
    wanted = set(getattr(treatment, "resources", ()))
    with progress.bar(arm.label, 1) as bar:
        resources = Resources(
            workdir=out / TRAINED_MODELS,
            preferences=_preferences(spec, subject, arm.seed) if "preferences" in wanted else None,
            demonstrations=_demonstrations(spec, subject, arm.seed) if "demonstrations" in wanted else None,
            requests=_requests(spec, subject, arm.seed) if "requests" in wanted else None,
            forget=_forget(spec, subject, arm.seed) if "forget" in wanted else None,
            safety=_safety(spec, subject, arm.seed) if "safety" in wanted else None,
            labels=_labels(spec, subject, arm.seed) if "labels" in wanted else None,
            rankings=_rankings(spec, subject, arm.seed) if "rankings" in wanted else None,
            reward=subject.reward if "reward" in wanted else None,
            cost=subject.cost if "cost" in wanted else None,
            targets=helper_targets(treatment, subject),
            seed=arm.seed,
            progress=bar.update,
        )
        return treatment.apply(subject.target, resources)


def check_training_data(arms: Sequence[Arm], subjects: Mapping[TargetSpec, Subject], spec: StudySpec) -> None:
    """Read the training data that the study will need, so that a bad file is known before anything is asked.

    Raises:
        InputError: a row cannot be used (its line is named), or a treatment has nothing to learn from.
    """
    checked: set[tuple[TargetSpec, str]] = set()
    for arm in arms:
        treatment: Treatment = make("treatment", arm.treatment, arm.parameters)
        subject = subjects[arm.target]
        if lacking(treatment.needs, subject.target.capabilities):
            continue
        for wanted, find_data in FINDERS.items():
            if wanted not in getattr(treatment, "resources", ()) or (arm.target, wanted) in checked:
                continue
            if subject.world is not None and getattr(spec, wanted) is None:
                continue  # the world's annotators write them when they are needed
            if find_data(spec, subject, arm.seed) is None:
                raise InputError(
                    f"treatment {arm.treatment!r} learns from {wanted}, but the study names none: "
                    f"add {wanted}: FILE."
                )
            checked.add((arm.target, wanted))


def _preferences(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.preferences is not None:
        return read_preferences(data_file(spec.preferences), drop_bad=spec.drop_bad)[: spec.examples]
    if subject.world is not None:
        from trueline.testbed.annotators import Annotator, preference_pairs

        rows = preference_pairs(subject.world, spec.examples, Annotator(), seed)
        return tuple(PreferencePair(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
    return None


def _demonstrations(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.demonstrations is not None:
        return read_demonstrations(data_file(spec.demonstrations), drop_bad=spec.drop_bad)[: spec.examples]
    if subject.world is not None:
        from trueline.testbed.annotators import demonstrations

        rows = demonstrations(subject.world, spec.examples, seed)
        return tuple(Demonstration(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
    if spec.preferences is not None:
        pairs = read_preferences(data_file(spec.preferences), drop_bad=spec.drop_bad)
        return as_demonstrations(pairs[: spec.examples])
    return None


def _requests(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.requests is not None:
        return read_labelled(data_file(spec.requests), drop_bad=spec.drop_bad)
    if subject.world is not None:
        from trueline.testbed.contrasts import labelled_requests

        return tuple(labelled(row) for row in labelled_requests(subject.world))
    return None


def _forget(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if subject.world is not None:
        from trueline.testbed.contrasts import FORGOTTEN, forget_set

        chosen = spec.forget or "all"
        if chosen in FORGOTTEN:
            return tuple(labelled(row) for row in forget_set(subject.world, chosen, spec.examples, seed))
    if spec.forget is not None:
        return read_labelled(data_file(spec.forget), drop_bad=spec.drop_bad)
    return None


def _safety(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.safety is not None:
        return read_demonstrations(data_file(spec.safety), drop_bad=spec.drop_bad)
    if subject.world is not None:
        from trueline.testbed.finetunes import safety_data

        rows = safety_data(subject.world, spec.examples, seed)
        return tuple(Demonstration(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
    return None


def _labels(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.labels is not None:
        return read_labelled(data_file(spec.labels), drop_bad=spec.drop_bad)[: spec.examples]
    pairs = _preferences(spec, subject, seed)
    return None if pairs is None else as_labelled(pairs)


def _rankings(spec: StudySpec, subject: Subject, seed: int) -> Any:
    if spec.rankings is not None:
        return read_rankings(data_file(spec.rankings), drop_bad=spec.drop_bad)[: spec.examples]
    if subject.world is not None and spec.preferences is None:
        from trueline.testbed.annotators import Annotator, ranked_answers

        rows = ranked_answers(subject.world, spec.examples, Annotator(), seed)
        return tuple(RankedAnswers(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
    pairs = _preferences(spec, subject, seed)
    return None if pairs is None else as_rankings(pairs)


FINDERS: Mapping[str, Callable[[StudySpec, Subject, int], Any]] = {
    "preferences": _preferences,
    "demonstrations": _demonstrations,
    "requests": _requests,
    "forget": _forget,
    "safety": _safety,
    "labels": _labels,
    "rankings": _rankings,
}


def data_file(name: str) -> Path:
    """A file of the user's, or ``data:SET/FILE`` for a file of a pinned data set."""
    if not name.startswith("data:"):
        return Path(name)
    from trueline.data.sources import path

    source, _, file = name.removeprefix("data:").partition("/")
    return path(source, file)
