"""The gate: a policy's limits against a study; pass, fail, or inconclusive when the interval straddles a limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trueline.core.errors import InputError, unknown_name
from trueline.core.verdicts import Estimate
from trueline.data.rows import read_text

from .measuring import planned_class
from .results import CellResult, StudyResults

Outcome = Literal["pass", "fail", "inconclusive"]


class Rule(BaseModel):
    """One limit. ``of`` is the metric's value or its paired change; ``at`` says what is held against the limit.

    ``interval`` (default) passes when the whole interval is within the limit, fails when all of it is beyond,
    and is inconclusive between; ``estimate`` compares the point; ``low``/``high`` compare that end alone.
    Missing verdicts widen the interval to the worst that they allow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: str
    metric: str
    attack: str = "direct"
    arm: str | None = None
    of: Literal["value", "change"] = "value"
    at: Literal["interval", "estimate", "low", "high"] = "interval"
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_limit(self) -> "Rule":
        if self.min is None and self.max is None:
            raise ValueError("a rule needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Policy(BaseModel):
    """A policy file: a list of rules, all of which must pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "policy"
    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """What a rule says of one arm, with the sentence that explains it."""

    rule: Rule
    arm: str
    outcome: Outcome
    words: str


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """All rules on all arms; the whole passes only if each does."""

    policy: str
    rules: Sequence[RuleResult]

    @property
    def outcome(self) -> Outcome:
        """Fail beats inconclusive beats pass."""
        outcomes = {rule.outcome for rule in self.rules}
        return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


def read_policy(path: Path) -> Policy:
    """Read a policy file (YAML).

    Raises:
        InputError: unreadable, or a field that is not allowed.
    """
    try:
        return Policy.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        raise InputError(f"the policy {str(path)!r} is not valid YAML.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "policy"
        raise InputError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}.") from error


def gate(results: StudyResults, policy: Policy) -> GateResult:
    """Hold a study against a policy. A rule without an arm is held against every treated arm.

    Raises:
        InputError: a rule names an arm, measure or attack that the study has not.
    """
    return GateResult(policy=policy.name, rules=[r for rule in policy.rules for r in _hold(results, rule)])


def _hold(results: StudyResults, rule: Rule) -> list[RuleResult]:
    arms = {arm.label: arm for arm in results.arms if arm.role == "treatment"}
    if rule.arm is not None and rule.arm not in arms:
        raise InputError(f"the policy names the arm {rule.arm!r}; the study has: {', '.join(arms)}.")
    treated = [label for label, arm in arms.items() if label != arm.baseline]
    chosen = [rule.arm] if rule.arm else (treated or list(arms))
    held = []
    for arm in chosen:
        cell = results.cell(arm, rule.measure, rule.attack)
        if cell is None:
            known = ", ".join(sorted({f"{c.measure} ({c.attack})" for c in results.cells}))
            raise InputError(f"the policy asks for {rule.measure} ({rule.attack}); the study has: {known}.")
        outcome, words = _judge(results, rule, cell)
        held.append(RuleResult(rule=rule, arm=arm, outcome=outcome, words=words))
    return held


def _judge(results: StudyResults, rule: Rule, cell: CellResult) -> tuple[Outcome, str]:
    defined = [metric.name for metric in planned_class(results.plan, cell.measure).metrics]
    if rule.metric not in defined:
        raise unknown_name(f"metric of {cell.measure}", rule.metric, defined)
    if cell.reason is not None:
        return "inconclusive", f"not measurable: {cell.reason}"
    if cell.state != "done":
        return "inconclusive", f"only {cell.done} of {cell.planned} items are done"
    if cell.uninformative:
        return "inconclusive", cell.uninformative
    result = cell.metrics.get(rule.metric)
    if result is None:
        known = ", ".join(cell.metrics) or "none"
        raise InputError(f"{rule.measure} has no metric {rule.metric!r} here; it has: {known}.")
    estimate = result.estimate if rule.of == "value" else result.change
    if estimate is None or estimate.value is None:
        return "inconclusive", f"no {rule.of}: {estimate.note if estimate else _why_no_change(results, cell)}"
    low, high = _ends(estimate)
    words = f"{rule.of} {estimate.value:.4g} [{low:.4g}, {high:.4g}] {estimate.interval}, n = {estimate.n}"
    return _compare(rule, estimate.value, low, high), words


def _why_no_change(results: StudyResults, cell: CellResult) -> str:
    if any(arm.label == arm.baseline == cell.arm for arm in results.arms):
        return "this arm is the baseline itself; add a treated arm, or compare two models by trueline diff"
    return "the baseline was not measured"


def _ends(estimate: Estimate) -> tuple[float, float]:
    lows = [x for x in (estimate.low, estimate.bound_low, estimate.value) if x is not None]
    highs = [x for x in (estimate.high, estimate.bound_high, estimate.value) if x is not None]
    return min(lows), max(highs)


def _compare(rule: Rule, value: float, low: float, high: float) -> Outcome:
    floor = rule.min if rule.min is not None else float("-inf")
    ceiling = rule.max if rule.max is not None else float("inf")
    if rule.at != "interval":
        x = {"estimate": value, "low": low, "high": high}[rule.at]
        return "pass" if floor <= x <= ceiling else "fail"
    if floor <= low and high <= ceiling:
        return "pass"
    return "fail" if low > ceiling or high < floor else "inconclusive"


def junit(result: GateResult) -> str:
    """JUnit XML: a failure for a failed rule, an error for an inconclusive one."""
    counts = {
        "tests": len(result.rules),
        "failures": sum(r.outcome == "fail" for r in result.rules),
        "errors": sum(r.outcome == "inconclusive" for r in result.rules),
    }
    suite = ElementTree.Element(
        "testsuite", {"name": result.policy, **{k: str(v) for k, v in counts.items()}}
    )
    for rule in result.rules:
        limit = " ".join(f"{k} {v:g}" for k in ("min", "max") if (v := getattr(rule.rule, k)) is not None)
        name = f"{rule.rule.measure}.{rule.rule.metric} ({rule.rule.attack}) {rule.rule.of} {limit}"
        case = ElementTree.SubElement(suite, "testcase", {"classname": rule.arm, "name": name})
        if rule.outcome == "fail":
            ElementTree.SubElement(case, "failure", {"message": rule.words})
        elif rule.outcome == "inconclusive":
            ElementTree.SubElement(case, "error", {"message": f"inconclusive: {rule.words}"})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
