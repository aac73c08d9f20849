"""The metrics of one cell: each one's estimate and paired change, corrected for the judge's errors where possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trueline.core.measure import Metric
from trueline.core.statistics import change, estimate
from trueline.core.verdicts import Estimate, Verdict

from .correcting import JudgeRecord, Labels, correct_change, correct_level
from .selection import CONTROL
from .stopped import Decided, Followed

LEVEL = 0.05  # of significance, after the correction of a family


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One metric of one cell: its estimate, and its paired change from the baseline arm."""

    metric: Metric
    estimate: Estimate
    change: Estimate | None = None
    family: Literal["primary", "exploratory"] = "exploratory"
    p_adjusted: float | None = None
    correction: str = ""  # of the judge's errors in the estimate, or why there is none; empty: no judge errs
    change_correction: str = ""
    judged: Estimate | None = None  # the judge's own word, where the estimate is corrected
    sequential: str = ""  # of a primary that was followed (stopping.py): changed, within the margin, or open

    @property
    def significant(self) -> bool:
        """Whether the change survives the correction of its family at 5 % (of a followed primary: its sequence)."""
        if self.sequential:
            return self.sequential == "changed"
        return self.p_adjusted is not None and self.p_adjusted <= LEVEL

    @property
    def effect(self) -> Literal["better", "worse", "changed", "unclear"]:
        """What the change means, once it survives the correction."""
        if not self.significant or self.change is None or not self.change.value:
            return "unclear"
        if self.metric.worse == "neither":
            return "changed"
        rose = self.change.value > 0
        return "worse" if rose == (self.metric.worse == "higher") else "better"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What corrects a cell's judged numbers: labels by metric and item, here and in the baseline; judges."""

    labels: Mapping[str, Labels]
    labels_before: Mapping[str, Labels]
    judges: Mapping[str, JudgeRecord]
    followed: Followed | None = None  # how a cell was asked sequentially


def metric_results(
    metrics: Sequence[Metric],
    verdicts: list[Verdict],
    before: list[Verdict] | None,
    judged: Judged,
    replicates: int,
) -> dict[str, MetricResult]:
    """By name, the metrics that these verdicts have; ``before`` are the baseline's verdicts, None without one.

    ``replicates`` are those of resampling, for metrics that are no mean.
    """
    results: dict[str, MetricResult] = {}
    shared = _shared(before, verdicts) if before else None
    for metric in metrics:
        counted = applicable(metric, verdicts)
        present = [v for v in counted if v.reason is None]
        if not counted:
            continue  # these items have no such group (a question without a stated view, off the testbed)
        if present and not _has_field(metric, present):
            continue  # this run has no judge that gives the field (harm is judged only where a harm judge is)
        judge = judged.judges.get(metric.judged_by)
        here, there = judged.labels.get(metric.name, {}), judged.labels_before.get(metric.name, {})
        raw = estimate(metric, counted, replicates=replicates)
        level = correct_level(metric, raw, counted, here, judge)
        if judged.followed is not None:
            level = judged.followed.level(metric, counted, here, judge, level)
        decided = None
        if shared is not None and (pair := [applicable(metric, side) for side in shared])[0]:
            usual = correct_change(
                metric, change(metric, *pair, replicates=replicates), pair[0], pair[1], (there, here), judge
            )
            decided = Decided(corrected=usual)
            if judged.followed is not None:
                decided = judged.followed.change(metric, pair[0], pair[1], (there, here), judge, usual)
        results[metric.name] = MetricResult(
            metric=metric,
            estimate=level.estimate,
            change=decided.corrected.estimate if decided is not None else None,
            family="primary" if decided is not None and decided.state else "exploratory",
            correction=level.words,
            change_correction=decided.corrected.words if decided is not None else "",
            judged=level.judged,
            sequential=decided.state if decided is not None else "",
        )
    return results


def applicable(metric: Metric, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts that count for a metric; controls only where it names them."""
    return [v for v in verdicts if metric.applies(v.group) and (metric.groups or v.group != CONTROL)]


def _has_field(metric: Metric, present: list[Verdict]) -> bool:
    return metric.statistic is not None or any((metric.field or metric.name) in v.values for v in present)


def _shared(before: list[Verdict], after: list[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """The verdicts of items examined in both arms (a half-finished study compares what both have)."""
    first = {v.item: v for v in before}
    second = {v.item: v for v in after}
    both = sorted(first.keys() & second.keys())
    return [first[i] for i in both], [second[i] for i in both]
