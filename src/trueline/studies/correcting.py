"""Judged rates and the judge's errors: labels of this study's own answers, else a card, else uncorrected.

Labels give tuned prediction-powered inference (PPI++, arXiv 2311.01453) for levels and paired changes. A card
measured elsewhere is transported: Rogan and Gladen's correction with the variance between the card's sources;
it corrects levels only, since a treatment may change how often the judge errs. Nothing of the kind is needed
where the judge is exact (a testbed world's own).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.statistics import PoweredEstimate, ppi_change, ppi_mean, rogan_gladen, transported_card
from trueline.core.statistics.change import pair
from trueline.core.statistics.clustered import safe_effective_n
from trueline.core.statistics.estimate import Sample, finite, gather, is_statistic, sample_clusters
from trueline.core.verdicts import Estimate, Verdict
from trueline.judges.card import JudgeCard

LEAST_LABELS = 30  # items, below which an estimate would rest on a handful of disagreements
ADVICE = "label a sample with trueline label"
BY_CARD = "transported card"  # how the intervals of levels that a card corrected begin

# What a card's positive must speak of to correct a number that rests on this parameter's judge.
MEANINGS: Mapping[str, tuple[str, ...]] = {
    "refusal": ("refus",),
    "harm": ("harm", "jailbr", "unsafe"),
    "toxicity": ("toxic", "hate", "offensive"),
    "judge": ("",),  # a user's own measure reports what its judge says, whatever that is
}
OWN_FILE = "as the file's label says"

Labels = Mapping[str, float]  # item -> label


@dataclass(frozen=True, kw_only=True)
class JudgeRecord:
    """What the store knows of a cell's judge."""

    name: str
    fingerprint: str
    exact: bool
    card: JudgeCard | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any], cards: Mapping[str, Any]) -> "JudgeRecord":
        """From the cell's state and the cards in the store."""
        card = cards.get(value["fingerprint"])
        return cls(**value, card=JudgeCard.from_json(card) if card else None)


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """An estimate, how it was corrected or why not (empty: nothing to correct), and the judge's own word."""

    estimate: Estimate
    words: str = ""
    judged: Estimate | None = None


def correct_level(
    metric: Metric,
    raw: Estimate,
    verdicts: Sequence[Verdict],
    labels: Labels,
    judge: JudgeRecord | None,
) -> Corrected:
    """The level of a metric, corrected by labels or by the judge's card where that is possible."""
    if raw.value is None or is_statistic(metric):
        return Corrected(estimate=raw, words=_uncorrected(metric, judge))
    sample = gather(metric, verdicts)
    known = _labels_of(verdicts, sample, labels)
    if int((~np.isnan(known)).sum()) >= LEAST_LABELS:
        try:
            found = ppi_mean(
                known,
                sample.columns[metric.field or metric.name],
                clusters=sample_clusters(sample)[0],
                bounds=metric.bounds,
            )
        except InputError as error:
            return Corrected(estimate=raw, words=f"uncorrected: {error}")
        powered = _powered(metric.bounds, raw, found, with_p=False)
        return Corrected(estimate=powered, words=_powered_words(found), judged=raw)
    if judge is not None and not judge.exact and judge.card is not None and metric.judged_as != "other":
        known_words = MEANINGS.get(metric.judged_by, ())
        if judge.card.positive != OWN_FILE and not any(w in judge.card.positive for w in known_words):
            words = f"uncorrected: the card of {judge.name} is about another thing: {judge.card.positive}"
            return Corrected(estimate=raw, words=words)
        return _by_card(metric, raw, sample, judge.card)
    return Corrected(estimate=raw, words=_uncorrected(metric, judge, int((~np.isnan(known)).sum())))


def correct_change(
    metric: Metric,
    raw: Estimate,
    before: Sequence[Verdict],
    after: Sequence[Verdict],
    labels: tuple[Labels, Labels],
    judge: JudgeRecord | None,
) -> Corrected:
    """The paired change, corrected by labels of both arms' answers to the same items."""
    if raw.value is None or is_statistic(metric):
        return Corrected(estimate=raw)
    arms = pair(metric, before, after)
    samples = gather(metric, arms[0]), gather(metric, arms[1])
    both = samples[0].present & samples[1].present
    items = [v.item for v, kept in zip(arms[0], both) if kept]
    truth = [np.array([given.get(item, np.nan) for item in items]) for given in labels]
    whole = ~np.isnan(truth[0]) & ~np.isnan(truth[1])
    if int(whole.sum()) < LEAST_LABELS:
        return Corrected(estimate=raw, words=_uncorrected(metric, judge, int(whole.sum())))
    name = metric.field or metric.name
    said = [s.columns[name][both[s.present]] for s in samples]
    try:
        found = ppi_change(
            np.where(whole, truth[0], np.nan),
            np.where(whole, truth[1], np.nan),
            said[0],
            said[1],
            clusters=samples[0].codes[both].tolist(),
            bounds=metric.bounds,
        )
    except InputError as error:
        return Corrected(estimate=raw, words=f"uncorrected: {error}")
    width = metric.bounds[1] - metric.bounds[0]
    powered = _powered((-width, width), raw, found, with_p=True)
    return Corrected(estimate=powered, words=_powered_words(found), judged=raw)


def _labels_of(verdicts: Sequence[Verdict], sample: Sample, labels: Labels) -> np.ndarray[Any, Any]:
    """Labels of the verdicts that have values, NaN where there is none."""
    return np.array([labels.get(v.item, np.nan) for v, kept in zip(verdicts, sample.present) if kept])


def _powered(bounds: tuple[float, float], raw: Estimate, found: PoweredEstimate, *, with_p: bool) -> Estimate:
    """Missing verdicts are outside of the N: their bounds stand around the corrected value."""
    total = raw.n + raw.missing
    low, high = ((raw.n * found.value + raw.missing * end) / total for end in bounds)
    return replace(
        raw,
        value=found.value,
        low=found.low,
        high=found.high,
        interval=f"prediction-powered, {found.labelled} labels",
        bound_low=finite(low),
        bound_high=finite(high),
        p=found.p if with_p else raw.p,
        note="",
    )


def _powered_words(found: PoweredEstimate) -> str:
    return f"prediction-powered with {found.labelled} labels of {found.n} (PPI++, λ = {found.tuning:.2f})"


def _by_card(metric: Metric, raw: Estimate, sample: Sample, card: JudgeCard) -> Corrected:
    counts = card.counts()
    if not counts:
        return Corrected(estimate=raw, words="uncorrected: no source of the judge's card has both classes")
    assert raw.value is not None
    values = sample.columns[metric.field or metric.name]
    codes, clusters = sample_clusters(sample)
    n = float(len(values)) if clusters == len(values) else safe_effective_n(values, codes, clusters)
    flip = metric.judged_as == "negative"
    found = rogan_gladen(1 - raw.value if flip else raw.value, n, transported_card(counts))
    if not found.corrected:
        return Corrected(estimate=raw, words=found.reason or "uncorrected")
    value, low, high = found.value, found.low, found.high
    if flip:
        value, low, high = 1 - value, 1 - high, 1 - low
    total = raw.n + raw.missing
    estimate = replace(
        raw,
        value=value,
        low=low,
        high=high,
        interval=f"{BY_CARD}, {len(counts)} sources",
        bound_low=raw.n * value / total,
        bound_high=(raw.n * value + raw.missing) / total,
        note="",
    )
    words = f"corrected by a card of {len(counts)} other sources ({card.data}), their variance included"
    return Corrected(estimate=estimate, words=words, judged=raw)


def _uncorrected(metric: Metric, judge: JudgeRecord | None, labels: int = 0) -> str:
    """Why a judged number stands as the judge gave it; empty where no judge errs."""
    if labels:
        return f"uncorrected: {labels} labelled items are too few ({LEAST_LABELS} are needed)"
    if not metric.judged_by or judge is None or judge.exact:
        return ""
    return f"uncorrected for the errors of {judge.name}: {ADVICE}"
