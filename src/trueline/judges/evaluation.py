"""Measuring a judge against labels: errors by source and category, calibration, agreement.

Calibration: Brier = mean (f − y)²; ECE = Σ_b (n_b/n)·|mean y − mean f| over equal-width and equal-mass bins
(Guo et al. 2017, arXiv 1706.04599). Agreement of the judge's yes and no with the labels: Krippendorff's α and
Cohen's κ. Their intervals resample clusters, so that one request put to five models counts once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version
from typing import Any

import numpy as np

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import as_json
from trueline.core.protocols import Judge, Judgement
from trueline.core.statistics import cohen_kappa, krippendorff_alpha, resample
from trueline.core.statistics.arrays import Floats
from trueline.core.statistics.calibration_error import (
    calibration_error,
    equal_mass_bins,
    equal_width_bins,
)

from .card import Figure, JudgeCard, Labelled, Labeller
from .rates import SourceRates, rates

IN_FLIGHT = 64
Statistic = Callable[[Mapping[str, Floats], Floats], float]


async def evaluate(
    judge: Judge,
    labelled: Iterable[Labelled],
    *,
    positive: str,
    data: str,
    note: str = "",
    threshold: float = 0.5,
    labelled_by: Labeller = "people",
    provenance: Mapping[str, Any] | None = None,
) -> JudgeCard:
    """The card of a judge on labelled answers: a value ≥ ``threshold`` counts as positive.

    Raises:
        InputError: no answers, or no verdict on any of them.
    """
    rows = list(labelled)
    if not rows:
        raise InputError("a judge cannot be evaluated on no answers; give at least one labelled answer.")
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def judged(row: Labelled) -> Judgement:
        async with gate:
            return await judge.judge(row.item, row.completion)

    said = await asyncio.gather(*map(judged, rows))
    values = [judgement.value for judgement in said]
    reasons = Counter(judgement.reason or "no reason given" for judgement in said if judgement.value is None)
    if reasons.total() == len(rows):
        raise InputError(
            f"{judge.name} gave no verdict on any of the {len(rows)} answers ({reasons.most_common(1)[0][0]}): there "
            "is no error to measure; give labels of the kind of answer that it judges."
        )
    return JudgeCard(
        judge=judge.name,
        fingerprint=judge.fingerprint(),
        positive=positive,
        data=data,
        note=note,
        reasons=dict(reasons.most_common()),
        sources=_sliced(rows, values, lambda row: row.source, threshold),
        labelled_by=labelled_by,
        threshold=threshold,
        categories=_sliced(rows, values, lambda row: row.category, threshold)
        if any(row.category for row in rows)
        else (),
        overall=_overall(rows, values, threshold) | _among_members(rows, said, threshold),
        provenance={**(provenance or {}), "labels": labels_digest(rows), **_versions()},
    )


def labels_digest(rows: Sequence[Labelled]) -> str:
    """A digest of requests, answers, labels and sources, in their order."""
    return fingerprint([[as_json(r.item.prompt), r.completion.text, r.label, r.source] for r in rows])


def _versions() -> dict[str, Any]:
    return {
        "trueline": version("trueline"),
        "python": python_version(),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _cluster(row: Labelled) -> str:
    return row.cluster or row.item.cluster or row.item.id


def _sliced(
    rows: Sequence[Labelled],
    values: Sequence[float | None],
    key: Callable[[Labelled], str],
    threshold: float,
) -> tuple[SourceRates, ...]:
    slices: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        slices.setdefault(key(row), []).append(index)
    return tuple(
        rates(
            name,
            [rows[i].label for i in chosen],
            [values[i] for i in chosen],
            clusters=[_cluster(rows[i]) for i in chosen],
            threshold=threshold,
        )
        for name, chosen in slices.items()
    )


def _overall(rows: Sequence[Labelled], values: Sequence[float | None], threshold: float) -> dict[str, Figure]:
    kept = [i for i, value in enumerate(values) if value is not None]
    said = np.array([values[i] for i in kept], dtype=np.float64)
    truth = np.array([float(rows[i].label) for i in kept])
    clusters = [_cluster(rows[i]) for i in kept]
    columns = {"said": said, "truth": truth, "yes": (said >= threshold).astype(np.float64)}
    statistics: dict[str, Statistic] = {
        "alpha": lambda c, w: krippendorff_alpha(np.stack([c["yes"], c["truth"]], axis=1), w),
        "kappa": lambda c, w: cohen_kappa(c["yes"], c["truth"], w),
    }
    if len(np.unique(said)) > 2:  # a judge that only says yes or no states no probability
        statistics |= {
            "brier": lambda c, w: float(w @ (c["said"] - c["truth"]) ** 2 / w.sum()),
            "ece_width": lambda c, w: calibration_error(
                c["said"], c["truth"], w, equal_width_bins(c["said"])
            ),
            "ece_mass": lambda c, w: calibration_error(
                c["said"], c["truth"], w, equal_mass_bins(c["said"], w)
            ),
        }
    return _resampled(statistics, columns, clusters)


def _among_members(
    rows: Sequence[Labelled], said: Sequence[Judgement], threshold: float
) -> dict[str, Figure]:
    """Of an ensemble: how far its members agree with each other, on all answers, tied ones too."""
    size = max(len(judgement.votes) for judgement in said)
    if size < 2:
        return {}
    votes = np.array([j.votes or (None,) * size for j in said], dtype=np.float64)  # None becomes NaN
    yes = np.where(np.isnan(votes), np.nan, votes >= threshold)
    columns = {str(member): yes[:, member] for member in range(size)}
    statistics: dict[str, Statistic] = {
        "members_alpha": lambda c, w: krippendorff_alpha(np.stack(list(c.values()), axis=1), w)
    }
    return _resampled(statistics, columns, [_cluster(row) for row in rows])


def _resampled(
    statistics: Mapping[str, Statistic], columns: Mapping[str, Floats], clusters: Sequence[str]
) -> dict[str, Figure]:
    """Each statistic with its interval; those without a value, or on a single cluster, are left out."""
    if len(set(clusters)) < 2:
        return {}
    found = {name: resample(statistic, columns, clusters) for name, statistic in statistics.items()}
    return {
        name: Figure(value=result.value, low=result.low, high=result.high)
        for name, result in found.items()
        if np.isfinite([result.value, result.low, result.high]).all()
    }
