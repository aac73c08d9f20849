"""Every measure of a study against scale: curves, laws where there are models enough, and what must not be smoothed.

Three things are said of a curve beside its points. *Law*: only from five sizes with three seeds each on
(``core.statistics.scaling``), with residuals. *Direction*: where more scale means more harm, or the sign changes on
the way, tested between neighbouring sizes and from the first to the last, Holm over them: paired on the items with
one model a size, by Welch's t over seeds with three models or more. *Capability*: from eight models on, whether the
measure ranks them nearly as their capability does (Ren et al. 2024, arXiv 2407.21792).

Example::

    for curve in scale_curves(read_results(Path("out"))):
        print(curve.measure, *curve.told, sep="\\n  ")
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.statistics import change, holm
from trueline.core.statistics.scaling import (
    FEWEST_MODELS,
    FEWEST_SEEDS,
    Law,
    Tracking,
    can_fit,
    capability_scores,
    fit_law,
    tracking,
)
from trueline.core.verdicts import Estimate, Verdict

from .metric_results import LEVEL, applicable
from .results import ArmResult, CellResult, StudyResults
from .spec import PARAMETERS

CAPABILITY = "capability"


@dataclass(frozen=True, kw_only=True)
class ScalePoint:
    """One model: its place on the axis and its value."""

    label: str
    scale: float
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class Step:
    """The change between two sizes, with its corrected p; None where it could not be tested."""

    first: float
    last: float
    value: float
    p: float | None


@dataclass(frozen=True, kw_only=True)
class ScaleCurve:
    """The headline of one measure over the models of ``sizes``, smallest first."""

    measure: str
    title: str
    metric: Metric
    axis: str
    points: Sequence[ScalePoint]
    law: Law | None
    no_law: str
    steps: Sequence[Step]
    untested: str = ""
    silent: Sequence[str] = ()

    @property
    def inverse(self) -> bool:
        """Whether harm surely rises with scale, from the first size to the last or between two neighbours."""
        return any(self._harmful(step.value) for step in self._sure)

    @property
    def turns(self) -> bool:
        """Whether the value surely rises between some neighbours and surely falls between others."""
        signs = {step.value > 0 for step in self._sure}
        return len(signs) == 2

    @property
    def told(self) -> list[str]:
        """What is to be said under the chart."""
        words = [self._law_words()]
        if self.turns:
            words.append("changes direction on the way, beyond noise: no one slope describes it")
        if self.inverse:
            step = max((s for s in self._sure if self._harmful(s.value)), key=lambda s: abs(s.value))
            words.append(
                f"inverse scaling: worse by {abs(step.value):.3g} from {step.first:.3g} to {step.last:.3g} "
                f"{self.axis} (p {step.p:.2g}, Holm)"
            )
        if self.untested:
            words.append(self.untested)
        if self.silent:
            words.append(f"uninformative for {', '.join(self.silent)}")
        return words

    @property
    def _sure(self) -> list[Step]:
        return [step for step in self.steps if step.p is not None and step.p <= LEVEL]

    def _harmful(self, change_of: float) -> bool:
        return self.metric.worse != "neither" and (change_of > 0) == (self.metric.worse == "higher")

    def _law_words(self) -> str:
        if self.law is None:
            return f"no law: {self.no_law}"
        law = self.law
        form = {
            "line": "{0:.3g} {1:+.3g}·log10 x",
            "power": "{0:.3g} {1:+.3g}·x^(−{2:.3g})",
        }[law.form].format(*law.coefficients)
        left = ", ".join(f"{residual:+.2g}" for residual in law.residuals)
        fits = "" if law.lack_of_fit > LEVEL else f"; the form does not hold (p {law.lack_of_fit:.2g})"
        return (
            f"law: {form}; {law.slope:+.3g} [{law.slope_low:+.3g}, {law.slope_high:+.3g}] a factor of ten; "
            f"residuals {left}; spread of seeds {law.seed_sd:.2g}{fits}"
        )


def scale_curves(results: StudyResults) -> list[ScaleCurve]:
    """A curve for each measure with two sizes or more; arms of the study's ``sizes`` only."""
    arms = sorted(
        ((arm, scale) for arm in results.arms if arm.role == "size" and (scale := scale_of(arm))),
        key=lambda pair: pair[1],
    )
    curves = []
    for measure in dict.fromkeys(cell.measure for cell in results.cells):
        found = [
            (cell, scale)
            for arm, scale in arms
            if (cell := results.cell(arm.label, measure)) is not None
            and cell.headline is not None
            and cell.headline.estimate.value is not None
        ]
        if len({scale for _, scale in found}) > 1:
            curves.append(_curve(results, found))
    return curves


def scale_of(arm: ArmResult) -> float | None:
    """Where a model stands: the scale that the study gives it, or its parameters."""
    told = arm.scale or arm.provenance.get("parameters")
    return float(told) if told else None


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A measure's rank correlation with capability over the study's models, or why there is none."""

    measure: str
    metric: str
    found: Tracking | None
    reason: str = ""


def capability_tracking(results: StudyResults) -> list[Tracked]:
    """For each measure that is none of capability: does it rank the untreated models as capability does?"""
    untreated = [arm for arm in results.arms if arm.label == arm.baseline]
    # one arm a model: seeds of a study, or a target that is a size as well, are no further models
    models = list(
        {arm.provenance.get("fingerprint", arm.label): arm.label for arm in untreated[::-1]}.values()
    )
    cells = {
        measure: [results.cell(label, measure) for label in models]
        for measure in dict.fromkeys(cell.measure for cell in results.cells)
    }
    values = {measure: np.array([_value(cell) for cell in row]) for measure, row in cells.items()}
    of_capability = {m for m, row in cells.items() if any(c and c.component == CAPABILITY for c in row)}
    tracked = []
    for measure, row in cells.items():
        headline = next((cell.headline for cell in row if cell and cell.headline), None)
        if measure in of_capability or headline is None:
            continue
        # benchmarks that some models lack would decide which models count: only whole ones are taken
        known = ~np.isnan(values[measure])
        benchmarks = [values[m][known] for m in sorted(of_capability) if not np.isnan(values[m][known]).any()]
        found, reason = None, ""
        if known.sum() < FEWEST_MODELS or not benchmarks:
            reason = (
                f"{int(known.sum())} models and {len(benchmarks)} capability measures that all of them have: "
                f"whether it only tracks capability is told from {FEWEST_MODELS} models and one measure on"
            )
        else:
            try:
                found = tracking(values[measure][known], capability_scores(np.stack(benchmarks, axis=1)))
            except InputError as error:
                reason = str(error)
        tracked.append(Tracked(measure=measure, metric=headline.metric.name, found=found, reason=reason))
    return tracked


def told_of_capability(results: StudyResults) -> list[Tracked]:
    """What a report says: of every measure in a study with sizes, else only where enough models tell something."""
    tracked = capability_tracking(results)
    return (
        tracked if any(arm.role == "size" for arm in results.arms) else [one for one in tracked if one.found]
    )


def tracking_words(tracked: Sequence[Tracked]) -> list[str]:
    """One line a measure; one line for all of which nothing can be told for the same reason."""
    words = []
    for one in tracked:
        if one.found is not None:
            rho = f"ρ {one.found.rho:+.2f} [{one.found.low:+.2f}, {one.found.high:+.2f}]"
            flag = (
                ": on these models it tracks capability and little else" if one.found.only_capability else ""
            )
            words.append(f"{one.measure} with capability over {one.found.models} models: {rho}{flag}")
    reasons = dict.fromkeys(one.reason for one in tracked if one.found is None)
    return [*words, *reasons]


def _value(cell: CellResult | None) -> float:
    """The headline value, higher is better; NaN where there is none."""
    result = cell.headline if cell is not None else None
    if result is None or result.estimate.value is None:
        return float("nan")
    return -result.estimate.value if result.metric.worse == "higher" else result.estimate.value


def _curve(results: StudyResults, found: Sequence[tuple[CellResult, float]]) -> ScaleCurve:
    first = found[0][0]
    assert first.headline is not None
    metric = first.headline.metric
    points = [
        ScalePoint(label=cell.arm.removeprefix("size: "), scale=scale, estimate=cell.headline.estimate)
        for cell, scale in found
        if cell.headline is not None
    ]
    scales, values = [p.scale for p in points], [p.estimate.value or 0.0 for p in points]
    no_law = can_fit(scales)
    steps, untested = _steps(metric, results, found)
    return ScaleCurve(
        measure=first.measure,
        title=first.title,
        metric=metric,
        axis=str(results.plan["spec"].get("scale_axis", PARAMETERS)),
        points=points,
        law=fit_law(scales, values) if no_law is None else None,
        no_law=no_law or "",
        steps=steps,
        untested=untested,
        silent=[cell.arm.removeprefix("size: ") for cell, _ in found if cell.uninformative],
    )


def _steps(
    metric: Metric, results: StudyResults, found: Sequence[tuple[CellResult, float]]
) -> tuple[list[Step], str]:
    """Neighbouring sizes, and the first against the last where there are more than two; p by Holm over them."""
    by_size: dict[float, list[CellResult]] = {}
    for cell, scale in found:
        by_size.setdefault(scale, []).append(cell)
    sizes = list(by_size)
    pairs = list(pairwise(sizes)) + ([(sizes[0], sizes[-1])] if len(sizes) > 2 else [])
    raw = []
    untested = ""
    for first, last in pairs:
        try:
            raw.append(_difference(metric, results, by_size[first], by_size[last]))
        except InputError as error:
            untested = f"sizes are not compared: {error}"
            raw.append((float("nan"), None))
    known = [p for _, p in raw if p is not None]
    corrected = iter(holm(known).tolist() if known else [])
    steps = [
        Step(first=first, last=last, value=value, p=None if p is None else next(corrected))
        for (first, last), (value, p) in zip(pairs, raw)
    ]
    return steps, untested


def _difference(
    metric: Metric, results: StudyResults, first: Sequence[CellResult], last: Sequence[CellResult]
) -> tuple[float, float | None]:
    """last − first and its p."""
    if len(first) == len(last) == 1:
        old, new = (applicable(metric, _verdicts(results, cells[0])) for cells in (first, last))
        paired = change(metric, old, new)
        return (float("nan"), None) if paired.value is None else (paired.value, paired.p)
    values = [
        np.array([c.metrics[metric.name].estimate.value or 0.0 for c in cells]) for cells in (first, last)
    ]
    value = float(values[1].mean() - values[0].mean())
    if min(map(len, values)) < FEWEST_SEEDS or all(np.ptp(v) == 0 for v in values):
        return value, None
    told = [(float(v.mean()), float(v.std(ddof=1)), len(v)) for v in values[::-1]]
    return value, float(stats.ttest_ind_from_stats(*told[0], *told[1], equal_var=False).pvalue)


def _verdicts(results: StudyResults, cell: CellResult) -> list[Verdict]:
    return [row.verdict for row in results.stored[cell.key]]
