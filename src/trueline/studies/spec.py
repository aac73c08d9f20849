"""What a study file may say: targets, treatments at several strengths, attacks, measures, seeds, primaries."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trueline.core.errors import InputError
from trueline.core.fingerprint import canonical
from trueline.data.rows import read_text

from .endpoints import EndpointOptions
from .measuring import FILE, named_measure

MAX_PRIMARY = 10
PARAMETERS = "parameters"  # the axis of sizes that a model tells by itself
ENDPOINT = re.compile(r"openai:(?P<name>.+?)@https?://", re.IGNORECASE | re.DOTALL)
VARIABLE = re.compile(r"\$\{(\w+)\}")


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Named(BaseModel):
    """A catalogue name with parameters; on treatments a list-valued parameter is swept, one arm a value."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str
    label: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name and the label."""
        return {name: value for name, value in (self.__pydantic_extra__ or {}).items() if name != FILE}

    @property
    def file(self) -> str | None:
        """The user's own measure file, if the name is one's."""
        found: str | None = (self.__pydantic_extra__ or {}).get(FILE)
        return found

    @property
    def key(self) -> str:
        """Name and parameters as one text."""
        return canonical({"name": self.name, **self.parameters})


NamedField = Annotated[Named, BeforeValidator(_named)]
MeasureField = Annotated[Named, BeforeValidator(named_measure)]


class Tariff(BaseModel):
    """Price of an endpoint in US dollars a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    input: float = Field(ge=0)
    output: float = Field(ge=0)


class TargetSpec(BaseModel):
    """A model to study: ``testbed``, ``testbed:SIZE``, a folder or hub name, or ``openai:NAME@BASE_URL``.

    ``inspect:PROVIDER/NAME`` is a model of inspect-ai (``models.inspect_model``).
    ``testbed:FOLDER`` is a fine-tune of a testbed model, asked and judged by the same world. ``cut``: harness
    cuts prompt and continuation as lm-eval does, for parity with its numbers. ``scale`` is where a
    model of ``sizes`` stands on the study's ``scale_axis`` (training tokens, steps; parameters are told by the model).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    label: str = ""
    cut: str = "common"
    dtype: str = "auto"
    device: str = "cpu"
    quantize: str | None = None
    system_prompt: str | None = None
    scale: float | None = Field(default=None, gt=0)
    tariff: Tariff | None = None
    endpoint: EndpointOptions | None = None

    @property
    def name(self) -> str:
        """The label, or a short form of the model's name."""
        address = ENDPOINT.match(self.model)
        model = address["name"] if address else self.model
        return self.label or (model.rstrip("/").rsplit("/", 1)[-1] or model)

    @property
    def is_endpoint(self) -> bool:
        """Whether somebody else's server answers."""
        return self.model.lower().startswith(("openai:", "inspect:"))


TargetField = Annotated[
    TargetSpec, BeforeValidator(lambda value: {"model": value} if isinstance(value, str) else value)
]


class Primary(BaseModel):
    """One hypothesis named before the run; without ``arm`` it stands for every arm but the baseline."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: str
    metric: str
    attack: str = "direct"
    arm: str | None = None


class Sequential(BaseModel):
    """Stop asking a treated arm once its primaries are decided: the change is not zero, or within ± ``margin``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    margin: float = Field(default=0.05, gt=0, lt=1)


class StudySpec(BaseModel):
    """A whole study. Unknown keys are refused, so that a misspelt option is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "study"
    targets: tuple[TargetField, ...] = Field(min_length=1)
    treatments: tuple[NamedField, ...] = (Named(name="none"),)
    measures: tuple[MeasureField, ...] = Field(min_length=1)
    attacks: tuple[NamedField, ...] = (Named(name="direct"),)
    sizes: tuple[TargetField, ...] = ()
    scale_axis: str = PARAMETERS
    seeds: tuple[int, ...] = (0,)
    limit: int | None = Field(default=None, ge=1)
    limits: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    detect: float | None = Field(default=None, gt=0, lt=1)
    preferences: str | None = None
    demonstrations: str | None = None
    requests: str | None = None
    forget: str | None = None
    safety: str | None = None
    labels: str | None = None
    rankings: str | None = None
    drop_bad: bool = False
    examples: int = Field(default=400, ge=1)
    primary: tuple[Primary, ...] = Field(default=(), max_length=MAX_PRIMARY)
    sequential: Sequential | None = None
    store: str | None = None

    @model_validator(mode="after")
    def _has_baseline(self) -> "StudySpec":
        if all(t.name != "none" for t in self.treatments):
            raise ValueError("treatments lack 'none', the baseline of every paired change; add it")
        return self

    @model_validator(mode="after")
    def _has_scales(self) -> "StudySpec":
        lacking = [target.model for target in self.sizes if target.scale is None]
        if self.scale_axis != PARAMETERS and lacking:
            raise ValueError(f"scale_axis is {self.scale_axis!r}, so {lacking[0]!r} of sizes needs its scale")
        return self


MAPPINGS = (Named, Tariff, TargetSpec, EndpointOptions, Primary, Sequential)


def parse_tariff(text: str) -> Tariff:
    """A tariff from ``IN,OUT``, as on the command line."""
    try:
        given, answered = (float(part) for part in text.split(","))
        return Tariff(input=given, output=answered)
    except ValueError as error:
        raise InputError(
            f"the tariff {text!r} is not IN,OUT: two numbers of at least 0, US dollars a million tokens, such "
            "as 0.15,0.60."
        ) from error


def parse_spec(value: Any, *, where: str = "study") -> StudySpec:
    """Validate a mapping as a study; one sentence names the field and what is allowed."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where} holds {type(value).__name__}, not a mapping of study fields.")
    try:
        return StudySpec.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "study"
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        if first["type"] == "model_type":
            shape = {cls.__name__: cls for cls in MAPPINGS}[first["ctx"]["class_name"]]
            message = f"{first['input']!r} is no mapping with {', '.join(shape.model_fields)}"
        known = "" if first["type"] != "extra_forbidden" else f" (known: {', '.join(StudySpec.model_fields)})"
        raise InputError(f"{where}: {field}: {message}{known}.") from error


def read_spec(path: Path) -> StudySpec:
    """Read a study file (YAML); ``${NAME}`` is replaced by the environment variable of that name.

    Raises:
        InputError: unreadable, not YAML, a field that is not allowed, or a variable that is not set.
    """
    text = read_text(path)
    unset = [name for name in VARIABLE.findall(text) if name not in os.environ]
    if unset:
        raise InputError(
            f"the study file {str(path)!r} needs the environment variable {unset[0]}; set it and run again."
        )
    text = VARIABLE.sub(lambda match: os.environ[match[1]], text)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"the study file {str(path)!r} is not valid YAML{line}.") from error
    return parse_spec(value, where=str(path))


def is_comparison(path: Path) -> bool:
    """Whether a file is a comparison of methods (comparison/spec.py) rather than a study."""
    return re.search(r"(?m)^methods:", read_text(path)) is not None
