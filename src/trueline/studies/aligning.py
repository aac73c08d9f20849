"""Training one model outside a study: what `trueline align` does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Treatment
from trueline.data.labelled import as_labelled, read_labelled
from trueline.data.preferences import as_demonstrations, read_demonstrations, read_preferences
from trueline.data.rankings import as_rankings, read_rankings
from trueline.data.rows import guess_format, read_rows

from .helpers import helper_targets
from .lacking import lacking
from .progress import Progress
from .spec import TargetSpec
from .store import make_folder
from .subjects import load_subject


def align_model(
    spec: TargetSpec,
    method: str,
    parameters: Mapping[str, Any],
    data: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    drop_bad: bool = False,
) -> Path:
    """Train and return the folder of the trained model; an interrupted run of the same settings is continued.

    Raises:
        InputError: an unknown method, an option that it does not take, data or a model that cannot be used.
    """
    treatment: Treatment = make("treatment", method, parameters)
    wanted = set(getattr(treatment, "resources", ()))
    if not wanted & READERS.keys():
        raise InputError(
            f"method {method!r} does not train on data from a file; trueline list treatments shows what does."
        )
    given = {name: read_data(name, data, drop_bad=drop_bad) for name in sorted(wanted & READERS.keys())}
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
            targets=helper_targets(treatment, subject),
            seed=seed,
            progress=bar.update,
        )
        target = treatment.apply(subject.target, resources)
    return Path(str(target.describe()["source"]))


READERS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "preferences": (read_preferences, tuple),
    "demonstrations": (read_demonstrations, as_demonstrations),
    "labels": (read_labelled, as_labelled),
    "rankings": (read_rankings, as_rankings),
    "forget": (read_labelled, as_labelled),
}  # kind of data -> how to read it from a file of its own, and how to make it of preference pairs


def read_data(kind: str, data: Path, *, drop_bad: bool) -> Any:
    """Data of one kind of ``READERS``, from a file of that kind or of preference pairs."""
    read, from_pairs = READERS[kind]
    first = read_rows(data, guess_format(data))[:100]
    if any("chosen" in row or "rejected" in row for _, row in first):
        return from_pairs(read_preferences(data, drop_bad=drop_bad))
    return read(data, drop_bad=drop_bad)
