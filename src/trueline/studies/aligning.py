"""Training one model outside a study: what `trueline align` does.

``method`` is a treatment that trains weights, or a kind of :data:`RATERS`, whose folder others take as their reward.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.building import build
from trueline.core.errors import InputError
from trueline.core.protocols import Capability, Resources, Treatment
from trueline.data.labelled import as_labelled, read_labelled
from trueline.data.preferences import as_demonstrations, read_demonstrations, read_preferences
from trueline.data.rankings import as_rankings, read_rankings
from trueline.data.rows import guess_format, read_rows
from trueline.treatments.reward_training import CostTraining, RewardTraining

from .helpers import helper_targets
from .lacking import lacking
from .progress import Progress
from .spec import TargetSpec
from .store import make_folder
from .subjects import load_subject

RATERS: Mapping[str, type[RewardTraining]] = {kind.name: kind for kind in (RewardTraining, CostTraining)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """The ``folder`` of a trained model, and what a critic said on the way, where there was one."""

    folder: Path
    feedback: Mapping[str, Any] = field(default_factory=dict)


def method_of(name: str, parameters: Mapping[str, Any]) -> Treatment | RewardTraining:
    """What trains, with the user's parameters; InputError for an unknown name, or an option that it does not take."""
    if name in RATERS:
        rater: RewardTraining = build("method", name, RATERS[name], parameters)
        return rater
    treatment: Treatment = make("treatment", name, parameters)
    return treatment


def align_model(
    spec: TargetSpec,
    method: str,
    parameters: Mapping[str, Any],
    data: Path | None,
    out: Path,
    *,
    safety: Path | None = None,
    forget: Path | None = None,
    seed: int,
    progress: Progress,
    drop_bad: bool = False,
    sharded: bool = False,
) -> Aligned:
    """Train and say where the trained model is; an interrupted run of the same settings is continued.

    Under torchrun every process calls this; ``sharded`` then cuts the model over them.

    Raises:
        InputError: an unknown method, an option that it does not take, data or a model that cannot be used.
    """
    treatment = method_of(method, parameters)
    wanted = set(getattr(treatment, "resources", ()))
    files = files_of(method, treatment, data, safety=safety, forget=forget)
    if sharded:
        _check_sharding(method, treatment)
    given = {name: read_data(name, file, drop_bad=drop_bad) for name, file in sorted(files.items())}
    make_folder(out)
    subject = load_subject(spec)
    reason = lacking(treatment.needs, subject.target.capabilities)
    if reason is not None:
        raise InputError(f"method {method!r} cannot be applied to {spec.model!r}: {reason}.")
    with progress.bar(method, 1) as bar:
        resources = Resources(
            workdir=out,
            **given,
            reward=subject.reward if "reward" in wanted else None,
            cost=subject.cost if "cost" in wanted else None,
            targets={} if isinstance(treatment, RewardTraining) else helper_targets(treatment, subject),
            seed=seed,
            progress=bar.update,
            sharded=sharded,
        )
        if isinstance(treatment, RewardTraining):
            folder, _ = treatment.train(subject.target, resources)
            return Aligned(folder=folder)
        target = treatment.apply(subject.target, resources)
    told = target.describe()
    return Aligned(folder=Path(str(told["source"])), feedback=told.get("feedback", {}))


READERS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "preferences": (read_preferences, tuple),
    "demonstrations": (read_demonstrations, as_demonstrations),
    "labels": (read_labelled, as_labelled),
    "rankings": (read_rankings, as_rankings),
    "forget": (read_labelled, as_labelled),
    "safety": (read_demonstrations, as_demonstrations),
}  # kind of data -> how to read it from a file of its own, and how to make it of preference pairs


WHAT = {"safety": "safe answers to harmful requests", "forget": "texts to forget and to retain"}


def files_of(
    method: str,
    treatment: Treatment | RewardTraining,
    data: Path | None,
    *,
    safety: Path | None,
    forget: Path | None,
) -> dict[str, Path]:
    """The file of each kind of data that the method learns from: ``data``, unless a kind has one of its own.

    Raises:
        InputError: a file that the method does not use, or none for what it needs.
    """
    wanted = set(getattr(treatment, "resources", ())) & READERS.keys()
    if Capability.GRADIENTS not in treatment.needs:
        raise InputError(
            f"method {method!r} trains no weights, so there is no model to save: name it among the treatments of a "
            "study file."
        )
    own = {kind: file for kind, file in (("safety", safety), ("forget", forget)) if file is not None}
    for kind, file in own.items():
        if kind not in wanted:
            raise InputError(
                f"method {method!r} does not learn from {WHAT[kind]}, so --{kind} {file} is not used: leave it out."
            )
    if "safety" in wanted and safety is None:
        raise InputError(
            f"method {method!r} keeps safety through the fine-tune by {WHAT['safety']}: give --safety FILE."
        )
    rest = wanted - own.keys()
    if rest and data is None:
        raise InputError(f"method {method!r} learns from {' and '.join(sorted(rest))}: give --data FILE.")
    if not rest and data is not None:
        learnt = "from --forget alone" if own else "from no file with these options"
        raise InputError(f"method {method!r} learns {learnt}, so --data {data} is not used: leave it out.")
    return {**own, **{kind: data for kind in rest if data is not None}}


def _check_sharding(method: str, treatment: Treatment | RewardTraining) -> None:
    if not getattr(treatment, "shards", False):
        raise InputError(
            f"method {method!r} cannot be sharded: it needs the whole model on every process while it trains; leave "
            "--sharded out."
        )
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        raise InputError(
            "--sharded cuts the model over several processes, but there is one: start it with torchrun "
            "--nproc-per-node 2 -m trueline align ..., or leave --sharded out."
        )


def read_data(kind: str, data: Path, *, drop_bad: bool) -> Any:
    """Data of one kind of ``READERS``, from a file of that kind or of preference pairs."""
    read, from_pairs = READERS[kind]
    first = read_rows(data, guess_format(data))[:100]
    if any("chosen" in row or "rejected" in row for _, row in first):
        return from_pairs(read_preferences(data, drop_bad=drop_bad))
    return read(data, drop_bad=drop_bad)
