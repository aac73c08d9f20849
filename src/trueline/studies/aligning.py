"""Training one model outside a study: what `trueline align` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Treatment
from trueline.data.labelled import read_labelled
from trueline.data.preferences import as_demonstrations, read_demonstrations, read_preferences
from trueline.data.rows import read_text

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
    if not wanted & {"preferences", "demonstrations", "forget"}:
        raise InputError(f"method {method!r} does not train on data; trueline align takes sft or dpo.")
    preferences = read_preferences(data, drop_bad=drop_bad) if "preferences" in wanted else None
    demonstrations = None
    if "demonstrations" in wanted:
        demonstrations = _demonstrations(data, drop_bad)
    forget = read_labelled(data, drop_bad=drop_bad) if "forget" in wanted else None
    make_folder(out)
    subject = load_subject(spec)
    reason = lacking(treatment.needs, subject.target.capabilities)
    if reason is not None:
        raise InputError(f"method {method!r} cannot be applied to {spec.model!r}: {reason}.")
    with progress.bar(method, 1) as bar:
        resources = Resources(
            workdir=out,
            preferences=preferences,
            demonstrations=demonstrations,
            reward=subject.reward if "reward" in wanted else None,
            targets=helper_targets(treatment, subject),
            forget=forget,
            seed=seed,
            progress=bar.update,
        )
        target = treatment.apply(subject.target, resources)
    return Path(str(target.describe()["source"]))


def _demonstrations(data: Path, drop_bad: bool) -> Any:
    """Prompt/answer pairs, or the chosen answers of preference pairs."""
    if '"chosen"' in read_text(data)[:4096]:
        return as_demonstrations(read_preferences(data, drop_bad=drop_bad))
    return read_demonstrations(data, drop_bad=drop_bad)
