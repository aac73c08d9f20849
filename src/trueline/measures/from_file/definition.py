"""What the file of a user's own measure may say.

Example::

    name: capitals
    data: capitals.csv
    kind: multiple_choice
    columns: {prompt: question, options: [a, b, c], answer: right, category: region}
    caution: Forty questions of our own; they say nothing about other countries.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.measure import Component
from trueline.data.rows import read_text
from trueline.measures.choices import Form
from trueline.measures.crosswalk import crosswalk

Kind = Literal["multiple_choice", "exact_answer", "contained_answer", "refusal", "judge"]
SUFFIXES = (".yaml", ".yml")
NEEDS: Mapping[Kind, tuple[str, ...]] = {
    "multiple_choice": ("options", "answer"),
    "exact_answer": ("answer",),
    "contained_answer": ("answer",),
    "refusal": (),
    "judge": (),
}
# Fields that only some kinds follow; on the others they are refused, never ignored.
ONLY: Mapping[str, tuple[Kind, ...]] = {
    "answer_is": ("multiple_choice",),
    "refusal": ("refusal",),
    "judge": ("refusal", "judge"),
    "worse": ("judge",),
    "max_tokens": ("exact_answer", "contained_answer", "refusal", "judge"),
}
MAX_CATEGORIES = 20
_UNSEEN = {
    "name",
    "title",
    "data",
    "caution",
    "source",
    "risks",
}  # say nothing of what is asked or how it is judged


class Columns(BaseModel):
    """Which columns of the data hold what. ``options`` is one column with a list, or several columns.

    ``answer`` is the right answer (of the open kinds a list holds several that count), ``reference`` a text that
    goes to the judge with the item, ``category`` the group under which an item is reported and sampled,
    ``cluster`` what items share that are not independent (a passage, a template).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    prompt: str
    options: str | tuple[str, ...] | None = None
    answer: str | None = None
    reference: str | None = None
    category: str | None = None
    cluster: str | None = None


class Definition(BaseModel):
    """A measure of the user's own.

    ``kind``: ``multiple_choice`` takes the option of highest log-likelihood; ``exact_answer`` and
    ``contained_answer`` read one greedy answer; ``refusal`` asks requests that should be refused (``refusal:
    wanted``) or not (``unwanted``); ``judge`` reports what a judge says of the answers (``worse`` says which way
    is harm). ``answer_is`` says how the right option is written: its ``text``, its ``letter``, or its ``index``
    counted from 0. ``categories`` are reported apart as well. ``caution`` is what nobody must read the number as.
    ``risks`` names entries of published lists that the items touch: ``{owasp: [LLM06], nist: ["2.10"]}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    data: str
    kind: Kind
    columns: Columns
    caution: Annotated[str, Field(min_length=1)]
    title: str = ""
    source: str = "none: a file of the user's own"
    component: Component | None = None
    worse: Literal["higher", "lower", "neither"] | None = None
    refusal: Literal["wanted", "unwanted"] | None = None
    judge: str | Mapping[str, Any] | None = None
    answer_is: Literal["text", "letter", "index"] = "text"
    form: Form = "chat"
    max_tokens: Annotated[int, Field(ge=1)] = 256
    categories: Annotated[tuple[str, ...], Field(max_length=MAX_CATEGORIES)] = ()
    version: str = "1"
    risks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("risks", mode="before")
    @classmethod
    def _are_listed(cls, given: Any) -> Any:
        lists = {each.key: each.entries for each in crosswalk().frameworks}
        if not isinstance(given, Mapping) or not given.keys() <= lists.keys():
            raise ValueError(f"give codes by list, of {', '.join(lists)}")
        for key, codes in given.items():
            if not isinstance(codes, list | tuple) or not codes:
                raise ValueError(f"{key} is a list of one code or more, such as [{next(iter(lists[key]))!r}]")
            for code in codes:
                if not isinstance(code, str):
                    raise ValueError(f"write the code {code!r} of {key} in quotes, or 2.10 is read as 2.1")
                if code not in lists[key]:
                    raise ValueError(f"{key} has no {code!r}; its codes are {', '.join(lists[key])}")
            if len(set(codes)) < len(codes):
                raise ValueError(f"{key} names a code twice")
        return given

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for column in ("options", "answer"):
            if getattr(self.columns, column) is None and column in NEEDS[self.kind]:
                raise ValueError(f"the kind {self.kind} needs columns.{column}")
            if getattr(self.columns, column) is not None and column not in NEEDS[self.kind]:
                raise ValueError(f"the kind {self.kind} does not read columns.{column}; leave it out")
        if self.columns.reference is not None and self.kind != "judge":
            raise ValueError(f"the kind {self.kind} does not read columns.reference; leave it out")
        for field, kinds in ONLY.items():
            if field in self.model_fields_set and self.kind not in kinds:
                raise ValueError(
                    f"{field} goes with {' or '.join(kinds)}, not with {self.kind}; leave it out"
                )
        if self.kind == "refusal" and self.refusal is None:
            raise ValueError("the kind refusal needs refusal: wanted or refusal: unwanted")
        if self.kind == "judge" and (self.judge is None or self.worse is None):
            raise ValueError("the kind judge needs judge: NAME and worse: higher, lower or neither")
        if self.categories and self.columns.category is None:
            raise ValueError("categories needs columns.category")
        return self

    def fingerprint(self) -> str:
        """Changes with everything that is asked, and how it is judged."""
        return fingerprint(self.model_dump(mode="json", exclude=_UNSEEN))


def read_definition(path: Path) -> Definition:
    """Read a measure file.

    Raises:
        InputError: unreadable, not YAML, or a field that is not allowed; one sentence names it.
    """
    try:
        value = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"the measure file {str(path)!r} is not valid YAML{line}.") from error
    if not isinstance(value, Mapping):
        raise InputError(f"the measure file {str(path)!r} holds no mapping of fields (name, data, kind ...).")
    try:
        return Definition.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        known = (
            f" (known: {', '.join(Definition.model_fields)})" if first["type"] == "extra_forbidden" else ""
        )
        words = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {f'{field}: ' if field else ''}{words}{known}.") from error


def is_measure_file(name: str) -> bool:
    """Whether a measure's name is the path of a measure file."""
    return name.endswith(SUFFIXES)
