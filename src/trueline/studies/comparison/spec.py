"""What a comparison file may say: methods with the dial that is tuned and the dial that is their strength."""

from collections.abc import Mapping, Sequence
from inspect import signature
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trueline.catalog import find
from trueline.core.errors import InputError, unknown_name
from trueline.data.rows import read_text
from trueline.studies.spec import NamedField, StudySpec, parse_spec

Dials = Mapping[str, Sequence[Any]]


class Keep(BaseModel):
    """What a trial must not cost: the change of a metric for the worse, in the metric's own unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: str
    metric: str
    loss: float = Field(ge=0)


class Criterion(BaseModel):
    """The number that chooses among trials: the best one of those whose cost stays within ``keep``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: str = "gold_reward"
    metric: str = "gold_reward"
    attack: str = "direct"
    keep: Keep | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What must be measured of a trial."""
        return (self.measure,) if self.keep is None else (self.measure, self.keep.measure)


class MethodSpec(BaseModel):
    """A treatment: ``tune`` are the dials tried on development worlds (every combination is a trial), ``strength``
    the one dial that is swept when it is judged, weakest first; ``select`` is the criterion of its tuning, where it is
    made for something else than the comparison's; other keys are fixed parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str
    label: str = ""
    tune: Mapping[str, list[Any]] = Field(default_factory=dict)
    strength: Mapping[str, list[Any]] = Field(default_factory=dict, max_length=1)
    select: Criterion | None = None

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name

    @property
    def fixed(self) -> dict[str, Any]:
        """Parameters that stay as they are."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def trials(self) -> int:
        """How many settings are tried on each development world."""
        return prod(len(values) for values in self.tune.values()) if self.tune else 0

    @property
    def levels(self) -> list[dict[str, Any]]:
        """The strengths, as parameters."""
        return [dict(zip(self.strength, values)) for values in product(*self.strength.values())]

    @property
    def middle(self) -> dict[str, Any]:
        """The strength at which it is tuned."""
        levels = self.levels
        return levels[len(levels) // 2]

    @property
    def trained(self) -> bool:
        """Whether it spends a compute budget."""
        return "budget" in signature(find("treatment", self.name)).parameters


class ComparisonSpec(BaseModel):
    """A comparison. ``labels`` is what annotators give every method, ``compute`` what training may spend (one of
    flops, tokens, seconds; left out, every method goes once through its data). Seeds draw the annotators' labels
    and the order of training. ``development`` and ``evaluation`` are world seeds; none may be both."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "methods"
    size: str = "large"
    development: tuple[int, ...] = Field(min_length=1)
    evaluation: tuple[int, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    labels: int = Field(default=400, ge=1)
    compute: Mapping[str, float] | None = None
    select: Criterion = Criterion()
    measures: tuple[NamedField, ...] = Field(min_length=1)
    attacks: tuple[NamedField, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    limits: Mapping[str, int] = Field(default_factory=dict)
    methods: tuple[MethodSpec, ...] = Field(min_length=1)
    budgets: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)

    def only(self, titles: Sequence[str]) -> "ComparisonSpec":
        """The same comparison of some of the methods; an unknown one gives the nearest."""
        known = [method.title for method in self.methods]
        for title in titles:
            if title not in known:
                raise unknown_name("method", title, known)
        return self.model_copy(update={"methods": tuple(m for m in self.methods if m.title in titles)})

    def criterion(self, method: MethodSpec) -> Criterion:
        """What a method's trials are chosen by."""
        return method.select or self.select

    def study(
        self,
        worlds: Sequence[int],
        treatments: Sequence[Mapping[str, Any]],
        *,
        tuning: Sequence[Criterion] = (),
    ) -> StudySpec:
        """A study of these treatments on these worlds; of trials, what their criteria read."""
        tried = [measure for criterion in tuning for measure in criterion.measures]
        attacks = [{"name": a.name, **a.parameters} for a in self.attacks]
        if tuning:
            attacked = {criterion.attack for criterion in tuning} - {"direct"}
            attacks = [attack for attack in attacks if attack["name"] in attacked]
        return parse_spec(
            {
                "name": self.name,
                "targets": [
                    {"model": f"testbed:{self.size}@{seed}", "label": f"world {seed}"} for seed in worlds
                ],
                "treatments": ["none", *treatments],
                "measures": list(dict.fromkeys(tried))
                or [{"name": m.name, **m.parameters} for m in self.measures],
                "attacks": ["direct", *attacks],
                "seeds": list(self.seeds[:1] if tuning else self.seeds),
                "examples": self.labels,
                "limit": None if tuning else self.limit,
                "limits": {} if tuning else dict(self.limits),
            }
        )

    def parameters(self, method: MethodSpec) -> dict[str, Any]:
        """What a method is given in every arm: its fixed parameters and the budget."""
        budget = {"budget": dict(self.compute)} if self.compute and method.trained else {}
        return {**method.fixed, **budget}


def read_comparison(path: Path, budget: str | None = None) -> ComparisonSpec:
    """Read a comparison file; ``budget`` names one of its ``budgets``, whose fields replace the file's own.

    Raises:
        InputError: unreadable, a field that is not allowed, unequal numbers of trials, or an unknown budget.
    """
    try:
        value = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"the comparison file {str(path)!r} is not valid YAML{line}.") from error
    if not isinstance(value, Mapping):
        raise InputError(f"{path} holds {type(value).__name__}, not a mapping of comparison fields.")
    chosen, titles = dict(value), None
    if budget is not None:
        budgets = chosen.get("budgets") or {}
        if budget not in budgets:
            raise unknown_name("budget", budget, budgets)
        overrides = dict(budgets[budget])
        titles = overrides.pop("only", None)
        chosen.update(overrides)
    return parse_comparison(chosen, where=str(path), only=titles)


def parse_comparison(
    value: Mapping[str, Any], *, where: str = "comparison", only: Sequence[str] | None = None
) -> ComparisonSpec:
    """Validate a mapping as a comparison, of the methods ``only`` where they are named."""
    try:
        spec = ComparisonSpec.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "comparison"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {field}: {message}.") from error
    spec = spec if only is None else spec.only(only)
    _check(spec, where)
    return spec


def _check(spec: ComparisonSpec, where: str) -> None:
    shared = set(spec.development) & set(spec.evaluation)
    if shared:
        raise InputError(
            f"{where}: world {min(shared)} is both for development and for evaluation: a method must be judged on "
            "worlds that it was not tuned on."
        )
    titles = [method.title for method in spec.methods]
    if len(set(titles)) < len(titles):
        twice = next(title for title in titles if titles.count(title) > 1)
        raise InputError(f"{where}: two methods are called {twice!r}; give one of them a label.")
    trials = {method.title: method.trials for method in spec.methods if method.trained or method.trials}
    if len(set(trials.values())) > 1:
        shown = ", ".join(f"{title} {n}" for title, n in trials.items())
        raise InputError(
            f"{where}: methods have unequal numbers of tuning trials ({shown}): a table of methods would rank the "
            "tuning; give every trained method as many."
        )
    known = {"direct", *(attack.name for attack in spec.attacks)}
    for method in spec.methods:
        if (criterion := spec.criterion(method)).attack not in known:
            raise InputError(
                f"{where}: {method.title} is chosen under the attack {criterion.attack!r}, which the comparison does "
                f"not make ({', '.join(sorted(known))}): add it to attacks."
            )
    if spec.compute is not None:
        from trueline.training.budget import budget_of

        budget_of(spec.compute)
