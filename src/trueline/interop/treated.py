"""A target with its treatment, named in one line as other tools name models: ``PATH?treatment=self_reminder``.

What stands after ``?`` are a target's own settings (dtype, device, quantize, system_prompt, cut), ``treatment``, the
treatment's options, the study's data fields that it learns from (preferences, requests ...: a file), ``seed``, and
``out``, the folder for models that it trains (runs/interop). Values are read as YAML: ``coefficient=0.5``.

Example: ``testbed?treatment=self_reminder&strength=system``
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from pydantic import ValidationError

from trueline.core.errors import InputError
from trueline.core.protocols import Target
from trueline.studies.arms import expand
from trueline.studies.checks import check_spec
from trueline.studies.progress import Silent
from trueline.studies.spec import StudySpec, TargetSpec
from trueline.studies.subjects import load_subject
from trueline.studies.treat import apply_treatment, check_training_data

OUT = Path("runs/interop")
SETTINGS = ("dtype", "device", "quantize", "system_prompt", "cut", "endpoint")
DATA = ("preferences", "demonstrations", "requests", "forget", "safety", "labels", "rankings", "examples")
UNUSED = "arc"  # a study needs a measure; this one is never asked


def treated_target(address: str, options: Mapping[str, Any] | None = None) -> Target:
    """The target that an address names, treated; ``options`` are read as those after ``?``.

    Raises:
        InputError: the model, treatment or an option cannot be used, or the treatment does not fit the model.
    """
    model, given = parse_address(address)
    for name, value in (options or {}).items():
        if name in given:
            raise InputError(f"the option {name!r} of {model!r} is given twice; leave one out.")
        given[name] = value
    target = {"model": model, **_taken(given, SETTINGS)}
    data, seed = _taken(given, DATA), given.pop("seed", 0)
    out, treatment = Path(given.pop("out", OUT)), given.pop("treatment", "none")
    if treatment == "none" and given:
        raise InputError(f"{model!r} takes no option {min(given)!r}; name a treatment that does.")
    swept = [name for name, value in given.items() if isinstance(value, list)]
    if swept:
        raise InputError(
            f"{swept[0]} of {treatment!r} is a list; a model has one strength, so give one value."
        )
    treatments = ["none", *([{"name": treatment, **given}] if treatment != "none" else [])]
    try:
        spec = StudySpec.model_validate(
            {"targets": [target], "treatments": treatments, "measures": [UNUSED], "seeds": [seed], **data}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{address!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    arms = expand(spec)
    check_spec(spec, arms)
    subject = load_subject(spec.targets[0])
    check_training_data(arms, {spec.targets[0]: subject}, spec)
    treated = apply_treatment(arms[-1], subject, spec, out, Silent())
    if isinstance(treated, str):
        raise InputError(f"{address!r}: {treated}.")
    return treated


def parse_address(address: str) -> tuple[str, dict[str, Any]]:
    """The model, and what stands after ``?``."""
    model, _, query = address.partition("?")
    if model.lower().startswith("openai:") and "?" in address:
        model, _, query = address.rpartition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise InputError(f"{address!r}: write NAME=VALUE&NAME=VALUE after the '?'.") from error
    return model, {name: yaml.safe_load(value) for name, value in pairs}


def _taken(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    known = {*TargetSpec.model_fields, *StudySpec.model_fields}
    assert set(names) <= known
    return {name: given.pop(name) for name in names if name in given}
