"""A judge's card: how often it errs, measured against human labels, source by source.

Sensitivity is the share of truly positive answers that the judge calls positive, specificity the share of
truly negative ones that it calls negative; both with Wilson 95 % intervals. Rates differ between sources
(models, functional tests), so a card keeps them apart: a pooled card does not transport to another model.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from trueline.core.errors import InputError, unknown_name
from trueline.core.messages import Completion
from trueline.core.protocols import Judge
from trueline.core.statistics import CardSource, wilson
from trueline.core.verdicts import Item

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An answer with the human's word: ``label`` is True where the judge should say 1.0."""

    item: Item
    completion: Completion
    label: bool
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRates:
    """Counts on one source. ``missing`` answers got no verdict and count in neither rate.

    ``auc`` is the chance that a random positive scores above a random negative, ties half, with DeLong's
    interval; None for a judge that only says yes or no.
    """

    source: str
    positives: int
    true_positives: int
    negatives: int
    true_negatives: int
    missing: int = 0
    auc: float | None = None
    auc_interval: Interval | None = None

    @property
    def n(self) -> int:
        """Answers with a verdict."""
        return self.positives + self.negatives

    @property
    def sensitivity(self) -> float | None:
        """True positives over positives; None without positives."""
        return self.true_positives / self.positives if self.positives else None

    @property
    def specificity(self) -> float | None:
        """True negatives over negatives; None without negatives."""
        return self.true_negatives / self.negatives if self.negatives else None

    @property
    def sensitivity_interval(self) -> Interval | None:
        """Wilson, 95 %."""
        return _wilson(self.true_positives, self.positives)

    @property
    def specificity_interval(self) -> Interval | None:
        """Wilson, 95 %."""
        return _wilson(self.true_negatives, self.negatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCard:
    """The measured errors of a judge of this fingerprint; ``positive`` says what 1.0 means."""

    judge: str
    fingerprint: str
    positive: str
    data: str
    note: str
    sources: tuple[SourceRates, ...]

    @property
    def pooled(self) -> SourceRates:
        """All sources added up, without AUC; it describes this mixture of sources and no other."""
        return SourceRates(
            source="pooled",
            positives=sum(s.positives for s in self.sources),
            true_positives=sum(s.true_positives for s in self.sources),
            negatives=sum(s.negatives for s in self.sources),
            true_negatives=sum(s.true_negatives for s in self.sources),
            missing=sum(s.missing for s in self.sources),
        )

    def source(self, name: str) -> SourceRates:
        """The rates on one source."""
        for rates in self.sources:
            if rates.source == name:
                return rates
        raise unknown_name("source of the card", name, [s.source for s in self.sources])

    def without(self, name: str) -> "JudgeCard":
        """The card that one would have had without this source (leave one out)."""
        left_out = self.source(name)
        return replace(self, sources=tuple(s for s in self.sources if s is not left_out))

    def counts(self) -> tuple[CardSource, ...]:
        """The sources that have both classes, for the correction of a rate by a transported card."""
        return tuple(
            CardSource(
                true_positives=s.true_positives,
                positives=s.positives,
                true_negatives=s.true_negatives,
                negatives=s.negatives,
            )
            for s in self.sources
            if s.positives and s.negatives
        )

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form; rates and intervals are computed from the counts again when it is read."""
        sources = [{k: v for k, v in asdict(s).items() if v is not None} for s in self.sources]
        return {**asdict(self), "sources": sources}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "JudgeCard":
        """The inverse of :meth:`as_json`."""
        sources = []
        for entry in value["sources"]:
            interval = entry.get("auc_interval")
            sources.append(SourceRates(**{**entry, "auc_interval": tuple(interval) if interval else None}))
        return cls(**{**value, "sources": tuple(sources)})

    def table(self) -> str:
        """A Markdown table, one row a source."""
        head = "| source | positives | sensitivity | negatives | specificity | AUC | no verdict |"
        rows = [
            f"| {s.source} | {s.positives} | {_show(s.sensitivity, s.sensitivity_interval)} "
            f"| {s.negatives} | {_show(s.specificity, s.specificity_interval)} "
            f"| {_show(s.auc, s.auc_interval)} | {s.missing} |"
            for s in self.sources
        ]
        return "\n".join([head, "|" + " --- |" * 7, *rows])


def _wilson(successes: int, n: int) -> Interval | None:
    if not n:
        return None
    interval = wilson(successes, n)
    return interval.low, interval.high


def _show(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


async def evaluate(
    judge: Judge,
    labelled: Iterable[Labelled],
    *,
    positive: str,
    data: str,
    note: str = "",
    threshold: float = 0.5,
) -> JudgeCard:
    """The card of a judge on labelled answers: a value ≥ ``threshold`` counts as positive."""
    rows = list(labelled)
    if not rows:
        raise InputError("a judge cannot be evaluated on no answers; give at least one labelled answer.")
    values = [(await judge.judge(row.item, row.completion)).value for row in rows]
    by_source: dict[str, tuple[list[bool], list[float | None]]] = {}
    for row, value in zip(rows, values):
        labels, given = by_source.setdefault(row.source, ([], []))
        labels.append(row.label)
        given.append(value)
    return JudgeCard(
        judge=judge.name,
        fingerprint=judge.fingerprint(),
        positive=positive,
        data=data,
        note=note,
        sources=tuple(rates(name, *pair, threshold=threshold) for name, pair in by_source.items()),
    )


def rates(
    source: str, labels: Sequence[bool], values: Sequence[float | None], *, threshold: float = 0.5
) -> SourceRates:
    """Counts and AUC of one source from aligned labels and values (None: no verdict)."""
    seen = [(label, value) for label, value in zip(labels, values, strict=True) if value is not None]
    positive = np.array([value for label, value in seen if label], dtype=np.float64)
    negative = np.array([value for label, value in seen if not label], dtype=np.float64)
    graded = len({value for _, value in seen}) > 2 and min(len(positive), len(negative)) > 1
    area, interval = auc(positive, negative) if graded else (None, None)
    return SourceRates(
        source=source,
        positives=len(positive),
        true_positives=int((positive >= threshold).sum()),
        negatives=len(negative),
        true_negatives=int((negative < threshold).sum()),
        missing=len(labels) - len(seen),
        auc=area,
        auc_interval=interval,
    )


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, Interval]:
    """Area under the ROC curve with DeLong's 95 % interval (DeLong et al. 1988), clipped to [0, 1]."""
    m, n = len(positive), len(negative)
    together = rankdata(np.concatenate([positive, negative]))
    above = (together[:m] - rankdata(positive)) / n  # share of negatives below each positive, ties half
    below = 1.0 - (together[m:] - rankdata(negative)) / m  # share of positives above each negative, ties half
    area = float(above.mean())
    half = 1.959963984540054 * float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    return area, (max(0.0, area - half), min(1.0, area + half))


def shipped_card(file: str, fingerprint: str) -> JudgeCard:
    """The card that comes with the package; raises InputError for a judge other than the measured one."""
    text = resources.files("trueline.judges").joinpath(file).read_text(encoding="utf-8")
    card = JudgeCard.from_json(json.loads(text))
    if card.fingerprint != fingerprint:
        raise InputError(
            f"the card of {card.judge} was measured on {card.fingerprint}, this judge is {fingerprint}; "
            "measure it with trueline.judges.card.evaluate."
        )
    return card
