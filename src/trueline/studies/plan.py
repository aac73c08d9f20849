"""The plan: every cell of a study, what it will ask, what that may take, and what cannot be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.measure import Measure
from trueline.core.protocols import Attack, Treatment
from trueline.core.verdicts import Item
from trueline.measures.from_file import FileMeasure

from .arms import Arm, expand
from .checks import check_sequential, check_spec
from .detecting import chosen, smallest_change
from .endpoints import EndpointOptions
from .judging import judges_of
from .lacking import lacking
from .measuring import FILE
from .pricing import Price, in_all, judging, price
from .selection import CONTROL
from .spec import MAX_PRIMARY, Named, Primary, StudySpec, TargetSpec
from .store_tables import without_password
from .subjects import Subject, load_subject
from .treat import check_training_data

TOKENS_A_WORD = 1.5


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measure under one attack on one arm. ``reason`` says why it cannot be measured, if so."""

    key: str
    arm: Arm
    measure: Named
    attack: Named
    item_count: int
    requests: int
    prompt_tokens: int
    max_tokens: int
    detectable: float | None = None  # smallest paired change found with 80 % power (detecting.py)
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Cells with their estimates; ``subjects`` are loaded targets by model specification."""

    spec: StudySpec
    arms: tuple[Arm, ...]
    cells: tuple[Cell, ...]
    primary: tuple[Primary, ...]
    subjects: Mapping[TargetSpec, Subject] = field(repr=False)
    _items: Mapping[tuple[TargetSpec, str], list[Item]] = field(repr=False)
    _measures: Mapping[tuple[TargetSpec, str], Measure] = field(repr=False)
    _digests: dict[tuple[TargetSpec, str], Mapping[str, str]] = field(repr=False, default_factory=dict)

    def items(self, cell: Cell) -> list[Item]:
        """The items of a cell."""
        return self._items[cell.arm.target, cell.measure.key]

    def digests(self, cell: Cell) -> Mapping[str, str]:
        """Digest of each item's content by item id; computed once for all arms."""
        place = (cell.arm.target, cell.measure.key)
        if place not in self._digests:
            self._digests[place] = {item.id: fingerprint(item) for item in self._items[place]}
        return self._digests[place]

    def measure(self, cell: Cell) -> Measure:
        """The measure of a cell."""
        return self._measures[cell.arm.target, cell.measure.key]

    @property
    def measurable(self) -> list[Cell]:
        """Cells that can be run."""
        return [cell for cell in self.cells if cell.reason is None]

    @cached_property
    def prices(self) -> list[Price]:
        """What each target, and each model that a judge asks, may be asked and cost."""
        found: list[Price] = []
        for cell in self.measurable:
            sizes = {
                "requests": cell.requests,
                "prompt_tokens": cell.prompt_tokens,
                "max_tokens": cell.max_tokens,
            }
            found.append(price(cell.arm.target.name, self.subjects[cell.arm.target].target, **sizes))
            for judge in judges_of(self.measure(cell)).values():
                found += judging("judge", judge, **sizes)
        return in_all(found)

    def cost(self) -> float | None:
        """Upper bound of the price in US dollars where tariffs are given, or None."""
        priced = [p.dollars for p in self.prices if p.dollars is not None and p.kind == "endpoint"]
        return sum(priced) if priced else None

    def check_cost(self, most: float | None) -> None:
        """Raise InputError when the study may cost more than ``most`` US dollars, or nobody can tell."""
        if most is None:
            return
        for each in self.prices:
            if each.dollars is None:
                raise InputError(
                    f"--max-cost {most:g} cannot be held without the price of {each.target!r}: give "
                    "its tariff (US dollars a million input and output tokens)."
                )
        cost = self.cost()
        if cost is not None and cost > most:
            raise InputError(
                f"the study may cost about ${cost:.2f}, over --max-cost {most:g}: lower the limit or raise the cost."
            )

    def seconds(self) -> float:
        """A rough upper estimate of the measuring time, training left out, as far as it can be told."""
        return sum(each.seconds or 0.0 for each in self.prices)

    def as_json(self) -> dict[str, Any]:
        """What the store keeps of the plan; ``hash`` covers the primaries named before the run."""
        primaries = [p.model_dump() for p in self.primary]
        store, sequential = self.spec.store, self.spec.sequential
        return {
            "spec": {**self.spec.model_dump(mode="json"), "store": store and without_password(store)},
            "arms": [
                {
                    "label": arm.label,
                    "baseline": arm.baseline,
                    "treatment": arm.treatment,
                    "parameters": dict(arm.parameters),
                    "target": arm.target.name,
                    "seed": arm.seed,
                    "role": arm.role,
                    "scale": arm.target.scale,
                }
                for arm in self.arms
            ],
            "cells": [
                {
                    "key": cell.key,
                    "arm": cell.arm.label,
                    "measure": cell.measure.name,
                    "parameters": cell.measure.parameters,
                    "attack": cell.attack.name,
                    "items": cell.item_count,
                    "reason": cell.reason,
                    "detectable": cell.detectable,
                }
                for cell in self.cells
            ],
            "data": {
                f"{target.name}: {key}": {"digest": fingerprint(items), "items": len(items)}
                for (target, key), items in self._items.items()
            },
            "own_measures": {
                measure.name: measure.record()
                for measure in self._measures.values()
                if isinstance(measure, FileMeasure)
            },
            "primary": primaries,
            "hash": fingerprint([primaries, sequential.model_dump()] if sequential else primaries),
        }


def make_plan(spec: StudySpec) -> Plan:
    """Expand a study into cells; loads each target once and reads each measure's items.

    Raises:
        InputError: an unknown name, a parameter that is not taken, missing data, too many primaries.
    """
    arms = tuple(expand(spec))
    check_spec(spec, arms)
    primary = _primaries(spec, arms)
    check_sequential(spec, primary)
    targets = dict.fromkeys(arm.target for arm in arms)
    subjects = {target: load_subject(_in_epoch(target, spec.name)) for target in targets}
    check_training_data(arms, subjects, spec)
    items: dict[tuple[TargetSpec, str], list[Item]] = {}
    measures: dict[tuple[TargetSpec, str], Measure] = {}
    for target, subject in subjects.items():
        for named in spec.measures:
            measure = subject.measure(named)
            measures[target, named.key] = measure
            items[target, named.key] = chosen(subject.items(measure), spec, measure, primary)
    loads: dict[tuple[TargetSpec, str, int], _Load] = {}
    cells: list[Cell] = []
    for arm in arms:
        subject = subjects[arm.target]
        treatment: Treatment = make("treatment", arm.treatment, arm.parameters)
        for named in spec.measures:
            place = (arm.target, named.key)
            measure = measures[place]
            for attack in spec.attacks:
                if attack.name != "direct" and (not measure.attackable or arm.role == "size"):
                    continue
                queries = _queries(attack, arm, treatment)
                if (*place, queries) not in loads:  # the same for all arms
                    loads[*place, queries] = _load(items[place], measure, primary, arm.target, queries)
                cells.append(_cell(arm, treatment, named, attack, subject, measure, loads[*place, queries]))
    return Plan(
        spec=spec,
        arms=arms,
        cells=tuple(cells),
        primary=primary,
        subjects=subjects,
        _items=items,
        _measures=measures,
    )


def _in_epoch(target: TargetSpec, study: str) -> TargetSpec:
    # An endpoint has no bytes to fingerprint: in a shared store its answers are kept apart by study.
    if not target.is_endpoint:
        return target
    options = target.endpoint or EndpointOptions()
    dated = options.model_copy(update={"epoch": options.epoch or study})
    return target.model_copy(update={"endpoint": dated})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What a measure's items ask of a target at most, and what they can detect."""

    item_count: int
    requests: int
    prompt_tokens: int
    max_tokens: int
    detectable: float | None


def _load(
    items: list[Item], measure: Measure, primary: Sequence[Primary], target: TargetSpec, queries: int
) -> _Load:
    requests = prompt_tokens = max_tokens = 0
    prompted = len((target.system_prompt or "").split())
    for item in items:
        asked, generated = measure.describe_cost(item)
        words = _words(item) + prompted
        requests += asked * queries
        prompt_tokens += int(asked * queries * words * TOKENS_A_WORD)
        max_tokens += generated * queries
    return _Load(
        item_count=sum(item.group != CONTROL for item in items),
        requests=requests,
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        detectable=smallest_change(items, measure, primary),
    )


def _queries(attack: Named, arm: Arm, treatment: Treatment) -> int:
    """Requests in place of one."""
    queries = int(attack.parameters.get("queries", 1))
    return queries * treatment.n if arm.treatment == "best_of_n" else queries  # type: ignore[attr-defined]


def _cell(
    arm: Arm,
    treatment: Treatment,
    named: Named,
    attack_spec: Named,
    subject: Subject,
    measure: Measure,
    load: _Load,
) -> Cell:
    attack: Attack = subject.attack(attack_spec)
    capabilities = subject.target.capabilities
    untreatable = lacking(treatment.needs, capabilities)
    identity = {
        "arm": arm.label,
        "treatment": arm.treatment,
        "parameters": dict(arm.parameters),
        "seed": arm.seed,
        # How fast and at what price it is asked changes no answer; the verdict's own key covers the rest.
        "target": arm.target.model_dump(mode="json", exclude={"tariff", "endpoint"}),
        "measure": [measure.name, measure.version, named.model_dump(mode="json", exclude={FILE})],
        "attack": attack_spec.model_dump(mode="json"),
    }
    return Cell(
        key=fingerprint(identity),
        arm=arm,
        measure=named,
        attack=attack_spec,
        item_count=load.item_count,
        requests=load.requests,
        prompt_tokens=load.prompt_tokens,
        max_tokens=load.max_tokens,
        detectable=load.detectable,
        reason=f"treatment {arm.treatment}: {untreatable}"
        if untreatable
        else lacking(measure.needs | attack.needs, capabilities),
    )


def _words(item: Item) -> int:
    text = item.prompt if isinstance(item.prompt, str) else " ".join(m.content for m in item.prompt)
    return len(text.split()) + sum(len(option.split()) for option in item.options) + 8


def _primaries(spec: StudySpec, arms: tuple[Arm, ...]) -> tuple[Primary, ...]:
    treated = [arm.label for arm in arms if not arm.is_baseline and arm.role == "treatment"]
    expanded: list[Primary] = []
    for primary in spec.primary:
        if primary.arm is not None and primary.arm not in treated:
            raise InputError(
                f"primary names the arm {primary.arm!r}; the study's arms are: {', '.join(treated)}."
            )
        if primary.measure not in {m.name for m in spec.measures}:
            raise InputError(f"primary names the measure {primary.measure!r}, which the study does not run.")
        expanded += [
            primary.model_copy(update={"arm": arm}) for arm in ([primary.arm] if primary.arm else treated)
        ]
    if len(expanded) > MAX_PRIMARY:
        raise InputError(
            f"the primaries stand for {len(expanded)} hypotheses; at most {MAX_PRIMARY} may be named: give each an arm."
        )
    return tuple(expanded)
