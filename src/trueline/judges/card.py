"""A judge's card: how often it errs, measured against labels, source by source, with its provenance.

Sensitivity is the share of truly positive answers that the judge calls positive, specificity the share of
truly negative ones that it calls negative; both with Wilson 95 % intervals, on the effective number where
answers come in clusters. Rates differ between sources (answering models, functional tests), so a card keeps
them apart: a pooled card does not transport to another model.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from trueline.core.errors import InputError, unknown_name
from trueline.core.messages import Completion
from trueline.core.statistics import CardSource, CorrectedRate, rogan_gladen, transported_card
from trueline.core.verdicts import Item

from .rates import Interval, SourceRates

Labeller = Literal["people", "a model"]
CARD_FILE = "card.json"  # beside the weights of a classifier that trueline judge train made


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An answer with its label, True where the judge should say 1.0.

    ``source`` is what errors are expected to differ between (the answering model), ``category`` a slice to
    report, ``cluster`` what answers share that are not independent (a request, a template).
    """

    item: Item
    completion: Completion
    label: bool
    source: str
    category: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number over all labelled answers with a verdict, with its 95 % cluster bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One source judged by a card of the others: the true rate, the judged one and the corrected one.

    ``pooled`` is what the plain correction by the others' pooled counts would say, which may leave [0, 1].
    """

    source: str
    true_rate: float
    judged_rate: float
    pooled: float
    corrected: CorrectedRate


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCard:
    """The measured errors of a judge of this fingerprint; ``positive`` says what 1.0 means.

    ``overall`` holds calibration (``ece_width``, ``ece_mass``, ``brier``, for a judge that grades), agreement with the
    labels (``alpha``, ``kappa``) and of an ensemble's members with each other (``members_alpha``); ``provenance``
    digests, versions and the time; ``reasons`` why answers have no verdict, each with its number.
    """

    judge: str
    fingerprint: str
    positive: str
    data: str
    note: str
    sources: tuple[SourceRates, ...]
    labelled_by: Labeller = "people"
    threshold: float = 0.5
    categories: tuple[SourceRates, ...] = ()
    overall: Mapping[str, Figure] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

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

    def left_out(self) -> tuple[LeftOut, ...]:
        """Each source with both classes, corrected by a card of the others: what this card does elsewhere."""
        found = []
        for source in self.sources:
            others = self.without(source.source)
            if not (source.positives and source.negatives and others.counts()):
                continue
            assert source.true_rate is not None and source.judged_rate is not None
            pool = others.pooled
            assert pool.sensitivity is not None and pool.specificity is not None
            information = pool.sensitivity + pool.specificity - 1
            lifted = source.judged_rate + pool.specificity - 1
            found.append(
                LeftOut(
                    source=source.source,
                    true_rate=source.true_rate,
                    judged_rate=source.judged_rate,
                    pooled=lifted / information if information else math.nan,
                    corrected=rogan_gladen(source.judged_rate, source.n, transported_card(others.counts())),
                )
            )
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form; rates and intervals are computed from the counts again when it is read."""
        return {
            **{k: v for k, v in asdict(self).items() if v not in ((), {})},
            "sources": _as_rows(self.sources),
            **({"categories": _as_rows(self.categories)} if self.categories else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "JudgeCard":
        """The inverse of :meth:`as_json`."""
        rows = {name: _from_rows(value[name]) if name in value else () for name in ("sources", "categories")}
        overall = {name: Figure(**figure) for name, figure in value.get("overall", {}).items()}
        return cls(**{**value, **rows, "overall": overall})


def _as_rows(sources: Sequence[SourceRates]) -> list[dict[str, Any]]:
    return [{k: v for k, v in asdict(s).items() if v is not None} for s in sources]


def _from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[SourceRates, ...]:
    made = []
    for row in rows:
        interval: Interval | None = tuple(row["auc_interval"]) if row.get("auc_interval") else None
        made.append(SourceRates(**{**row, "auc_interval": interval}))
    return tuple(made)


def read_card(path: Path) -> JudgeCard:
    """A card's file; raises InputError where it is none."""
    try:
        return JudgeCard.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"the card {str(path)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{str(path)!r} is not a judge card; write one with trueline judge evaluate."
        ) from error


def shipped_card(file: str, fingerprint: str) -> JudgeCard:
    """The card that comes with the package; raises InputError for a judge other than the measured one."""
    text = resources.files("trueline.judges").joinpath(file).read_text(encoding="utf-8")
    card = JudgeCard.from_json(json.loads(text))
    if card.fingerprint != fingerprint:
        raise InputError(
            f"the card of {card.judge} was measured on {card.fingerprint}, this judge is {fingerprint}; "
            "measure it with trueline judge evaluate."
        )
    return card
