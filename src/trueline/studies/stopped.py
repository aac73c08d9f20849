"""Numbers of a cell that was asked sequentially (stopping.py): what holds wherever it stopped, labels included.

An interval for a fixed number of items does not hold where the answers decided that number. So while a cell has not
answered everything, its means and their changes get a betting confidence sequence for *all planned items*, at the
clusters that it answered; what is no bounded mean (an AUC, a ratio) keeps its value and loses its interval.

Labels are drawn in the order of asking (labels.py), not at random among what was answered, and so get a sequence of
their own, which holds at every number of labels at once, whatever decided it: with a judge's value f and the truth y,

    mean_N(y) = mean_N(f) + mean_N(y − f),

each of the two at half of the error ("the error budget is split with the judge's calibration", METRICS). It is
prediction-powered inference (arXiv 2311.01453) at λ = 1, with sequences (arXiv 2010.09686) for its two means. A missing
verdict may have been anything in the first mean, and is no error of the judge in the second; an item without a label
may be any error that its verdict allows. A followed primary is decided anew by the corrected interval.

Example: 200 answered items of 400 with f = 1 in half of them, and 100 labels that agree: [.35, .65] or so around .5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trueline.core.measure import Metric
from trueline.core.statistics import bounded_sequence
from trueline.core.statistics.arrays import Floats
from trueline.core.statistics.estimate import is_statistic
from trueline.core.verdicts import Estimate, Verdict

from .correcting import ADVICE, LEAST_LABELS, Corrected, JudgeRecord, Labels
from .drawing import ALPHA, Counted, DrawOrder, state_of, value_of

GAPS = 0.1  # of the items in the order of asking, the most that may lack a label
ASKED = "asked sequentially: "
WITHHELD = "a p-value for a fixed number of items is withheld"
NO_INTERVAL = f"{ASKED}an interval for a fixed number of items does not hold, and this is no bounded mean"
NO_CARD = "uncorrected: a card corrects a fixed number of items, and this cell was asked sequentially"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A change with what it decides of a followed primary: changed, within the margin, open; empty for others."""

    corrected: Corrected
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A cell that was asked sequentially.

    order: of the whole set. changes: what the run stored of each primary, by metric; empty against another arm than
    the baseline. margin: a share of the metric's range. primaries: how many share the error.
    """

    order: DrawOrder
    changes: Mapping[str, Mapping[str, Any]]
    margin: float
    primaries: int

    def level(
        self,
        metric: Metric,
        verdicts: Sequence[Verdict],
        labels: Labels,
        judge: JudgeRecord | None,
        usual: Corrected,
    ) -> Corrected:
        """The metric's level; ``usual`` is that for a fixed number of items, which stays where all are answered."""
        whole, drawn = self._answered(metric, verdicts)
        if len(drawn.clusters) == len(whole.clusters) or usual.estimate.value is None:
            return usual
        raw = usual.judged or usual.estimate
        if not _is_bounded_mean(metric):
            return Corrected(estimate=_without_interval(raw), words=NO_INTERVAL)
        values = _values(metric, verdicts, drawn)
        found = _Sequence(whole=whole, drawn=drawn, bounds=metric.bounds, level=1 - ALPHA)
        truth = found.in_order(_known(labels, drawn), values)
        estimate = found.estimate(values, truth)
        words = found.words(truth)
        if found.enough(truth):
            alone = found.estimate(values, np.full_like(truth, np.nan))
            return Corrected(estimate=estimate, words=words, judged=alone)
        return Corrected(estimate=estimate, words=_joined(words, self._uncorrected(metric, usual, judge)))

    def change(
        self,
        metric: Metric,
        before: Sequence[Verdict],
        after: Sequence[Verdict],
        labels: tuple[Labels, Labels],
        judge: JudgeRecord | None,
        usual: Corrected,
    ) -> Decided:
        """The paired change. A primary's is the run's own sequence, or with labels the corrected one, which decides
        anew; of others the p-value is withheld, and the interval for a fixed number of items while not all are
        answered."""
        stored = self.changes.get(metric.name)
        whole, drawn = self._answered(metric, before, after)
        early = len(drawn.clusters) < len(whole.clusters)
        raw = usual.judged or usual.estimate
        if not _is_bounded_mean(metric):
            kept = _without_interval(raw) if early else replace(raw, p=None)
            return Decided(
                corrected=Corrected(estimate=kept, words=NO_INTERVAL if early else ASKED + WITHHELD)
            )
        if stored is None and not early:
            kept = replace(usual.estimate, p=None)
            return Decided(
                corrected=replace(usual, estimate=kept, words=_joined(ASKED + WITHHELD, usual.words))
            )
        width = metric.bounds[1] - metric.bounds[0]
        error = ALPHA if stored is None else ALPHA / self.primaries
        found = _Sequence(whole=whole, drawn=drawn, bounds=(-width, width), level=1 - error)
        values = _values(metric, after, drawn) - _values(metric, before, drawn)
        truth = found.in_order(_known(labels[1], drawn) - _known(labels[0], drawn), values)
        alone = found.estimate(values, np.full_like(truth, np.nan)) if stored is None else _stored(stored)
        if found.enough(truth):
            estimate = found.estimate(values, truth)
            assert estimate.low is not None and estimate.high is not None
            state = "" if stored is None else state_of(estimate.low, estimate.high, self.margin * width)
            words = found.words(truth) + (f": {state}" if state else "")
            return Decided(corrected=Corrected(estimate=estimate, words=words, judged=alone), state=state)
        state, words = "", _joined(found.words(truth), WITHHELD)
        if stored is not None:
            state = str(stored["state"])
            words = f"{found.words(truth)}: {state} ({100 * stored['level']:.4g} % sequence)"
        words = _joined(words, self._uncorrected(metric, usual, judge))
        return Decided(corrected=Corrected(estimate=alone, words=words), state=state)

    def _answered(self, metric: Metric, *arms: Sequence[Verdict]) -> tuple[Counted, Counted]:
        """The whole set of a metric, and its first clusters all of whose items have a verdict, or none for a reason,
        in every arm."""
        whole = self.order.counted(metric)
        asked = [{verdict.item for verdict in verdicts} for verdicts in arms]
        count = 0
        for _, members in whole.clusters:
            if not all(set(members) <= have for have in asked):
                break
            count += 1
        return whole, Counted(clusters=whole.clusters[:count])

    def _uncorrected(self, metric: Metric, usual: Corrected, judge: JudgeRecord | None) -> str:
        if not metric.judged_by or judge is None or judge.exact:
            return ""
        return f"{NO_CARD}: {ADVICE}" if usual.words.startswith("corrected by a card") else usual.words


@dataclass(frozen=True, kw_only=True)
class _Sequence:
    """The mean of a whole set by a sequence over the clusters drawn so far, with or without labels."""

    whole: Counted
    drawn: Counted
    bounds: tuple[float, float]
    level: float

    def in_order(self, truth: Floats, values: Floats) -> Floats:
        """The labels [n] of the longest beginning of whole clusters of whose verdicts nine tenths are labelled: a
        sequence takes its draws in their order, and what lies behind a gap is left out."""
        return np.where(np.arange(len(truth)) < self._beginning(truth, values), truth, np.nan)

    def _beginning(self, truth: Floats, values: Floats) -> int:
        if not len(truth):
            return 0
        ends = np.cumsum([len(members) for _, members in self.drawn.clusters])
        unlabelled = np.isnan(truth) & ~np.isnan(values)
        told = np.logical_or.reduceat(~unlabelled, np.r_[0, ends[:-1]])
        whole = np.flatnonzero((np.cumsum(unlabelled)[ends - 1] <= GAPS * ends) & told)
        return int(ends[whole[-1]]) if len(whole) else 0

    def enough(self, truth: Floats) -> bool:
        """Whether so many items are labelled that they correct the judge: all that there are, or the usual number."""
        return int((~np.isnan(truth)).sum()) >= max(1, min(LEAST_LABELS, (1 - GAPS) * len(truth)))

    def estimate(self, values: Floats, truth: Floats) -> Estimate:
        """``values`` [n] are the judge's on the drawn items, ``truth`` [n] the labels; NaN where there is none."""
        lost = np.isnan(values)
        least, most = (np.where(lost, end, values) for end in self.bounds)
        labelled = self.enough(truth)
        each = 1 - (1 - self.level) / 2 if labelled else self.level
        low, high = self._ends(least, most, self.bounds, each)
        value = float(values[~lost].mean()) if not lost.all() else None
        name = f"betting confidence sequence, {100 * self.level:.4g} %"
        if labelled and value is not None:
            width = self.bounds[1] - self.bounds[0]
            wrong = np.where(lost, 0.0, truth - values)
            unknown = np.isnan(wrong)
            reach = [np.where(unknown, end - values, wrong) for end in self.bounds]
            read = self._beginning(truth, values)
            error = self._ends(reach[0][:read], reach[1][:read], (-width, width), each)
            low, high = max(low + error[0], self.bounds[0]), min(high + error[1], self.bounds[1])
            value = min(max(value + float(wrong[~unknown & ~lost].mean()), low), high)
            name = f"two betting confidence sequences, {100 * self.level:.4g} % together"
        return Estimate(
            value=value, low=low, high=high, interval=name, n=int((~lost).sum()), missing=int(lost.sum()),
            clusters=len(self.drawn.clusters),
        )  # fmt: skip

    def words(self, truth: Floats) -> str:
        """What was asked, and what corrects it."""
        told = f"asked sequentially, {self.drawn.items} of {self.whole.items} items"
        if not self.enough(truth):
            return told
        return f"{told}, corrected with {int((~np.isnan(truth)).sum())} labels in the order of asking"

    def _ends(
        self, least: Floats, most: Floats, bounds: tuple[float, float], level: float
    ) -> tuple[float, float]:
        if not len(least):
            return bounds
        names = [name for name, members in self.drawn.clusters for _ in members]
        found = bounded_sequence(
            least,
            most,
            names[: len(least)],
            items=self.whole.items,
            population=len(self.whole.clusters),
            largest=self.whole.largest,
            bounds=bounds,
            level=level,
        )
        return float(found.low[-1]), float(found.high[-1])


def _values(metric: Metric, verdicts: Sequence[Verdict], drawn: Counted) -> Floats:
    """The metric's values of the drawn items, NaN where there is none."""
    by_item = {verdict.item: verdict for verdict in verdicts}
    return np.array([value_of(metric, by_item[item]) for _, members in drawn.clusters for item in members])


def _known(labels: Labels, drawn: Counted) -> Floats:
    """The labels of the drawn items, NaN where there is none."""
    return np.array([labels.get(item, np.nan) for _, members in drawn.clusters for item in members])


def _is_bounded_mean(metric: Metric) -> bool:
    return not is_statistic(metric) and bool(np.isfinite(metric.bounds).all())


def _without_interval(estimate: Estimate) -> Estimate:
    return replace(estimate, low=None, high=None, interval="none", p=None)


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))


def _stored(sequence: Mapping[str, Any]) -> Estimate:
    """The run's own sequence of a primary."""
    return Estimate(
        value=sequence["value"],
        low=sequence["low"],
        high=sequence["high"],
        interval=f"betting confidence sequence, {100 * sequence['level']:.4g} %",
        n=sequence["items"] - sequence["missing"],
        missing=sequence["missing"],
        clusters=sequence["clusters"],
    )
