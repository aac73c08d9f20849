"""Judges by name: what a study file or the command line says becomes a judge.

A judge is a catalogue name or a mapping ``{judge: NAME, option: value, ...}``. Two options hold more than a
value: ``members`` (of an ensemble) is a list of judges, ``target`` (of a judge that asks a model) a model as
a study's target is written. A judge of entailment is ``lexical``, ``{classifier: FOLDER}`` or ``{target: MODEL}``.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trueline.catalog import make
from trueline.core.building import build
from trueline.core.errors import InputError
from trueline.core.measure import Measure
from trueline.core.protocols import Judge
from trueline.judges.entailment import Entailment, LexicalEntailment, ModelEntailment
from trueline.judges.entailment_classifier import ClassifierEntailment

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


def build_entailment(value: Any) -> Entailment:
    """The judge of entailment that a value names: word overlap, a local classifier, or a model that is asked."""
    if hasattr(value, "relate"):
        built: Entailment = value
        return built
    if value == "lexical":
        return LexicalEntailment()
    if isinstance(value, Mapping) and set(value) == {"target"}:
        return ModelEntailment(_target(value["target"]))
    if isinstance(value, Mapping) and isinstance(value.get("classifier"), str):
        return build("judge", "entailment", ClassifierEntailment, value)  # type: ignore[no-any-return]
    raise InputError(
        f"{value!r} names no judge of entailment; write lexical, {{classifier: FOLDER}} for a classifier of natural "
        "language inference, or {target: MODEL} for a model that is asked."
    )


def build_parameter(name: str, value: Any) -> Judge | Entailment:
    """What a measure's parameter of this name is given: a judge of answers, or of entailment."""
    return build_entailment(value) if name == "entailment" else build_judge(value)


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
