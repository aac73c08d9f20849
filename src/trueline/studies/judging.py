"""Judges by name: what a study file or the command line says becomes a judge.

A judge is a catalogue name or a mapping ``{judge: NAME, option: value, ...}``. Two options hold more than a
value: ``members`` (of an ensemble) is a list of judges, ``target`` (of a judge that asks a model) a model as
a study's target is written.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.measure import Measure
from trueline.core.protocols import Judge

from .spec import TargetSpec


def build_judge(value: Any) -> Judge:
    """The judge that a value names.

    Raises:
        InputError: an unknown name, an option that is not taken, or a model that cannot be loaded.
    """
    if hasattr(value, "judge"):
        built: Judge = value
        return built
    if isinstance(value, str):
        value = {"judge": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("judge"), str):
        raise InputError(
            f"{value!r} names no judge; write a name of trueline list judges, or {{judge: NAME, ...}}."
        )
    options = {name: option for name, option in value.items() if name != "judge"}
    if "members" in options:
        if not isinstance(options["members"], list | tuple):
            raise InputError(f"members of the judge {value['judge']!r} must be a list of judges.")
        options["members"] = tuple(build_judge(member) for member in options["members"])
    if "target" in options:
        options["target"] = _target(options["target"])
    judge: Judge = make("judge", value["judge"], options)
    return judge


def _target(value: Any) -> Any:
    if hasattr(value, "generate"):
        return value
    from .subjects import load_subject

    try:
        spec = TargetSpec.model_validate({"model": value} if isinstance(value, str) else value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"target of a judge: {place}: {first['msg']}.") from error
    return load_subject(spec).target


def judges_of(measure: Measure) -> Mapping[str, Judge]:
    """The judges that a measure has, by the parameter that takes them."""
    named = getattr(measure, "judges", ())
    found = {name: getattr(measure, name, None) for name in named}
    return {name: judge for name, judge in found.items() if judge is not None}
