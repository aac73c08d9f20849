"""A rate judged with known errors: Rogan and Gladen's correction with an error card measured elsewhere.

A card pooled over sources hides that a judge's sensitivity differs between them: a plain refusal list finds
99 % of one model's refusals and 17 % of another's. So the variance *between* sources enters the interval, and
where the correction has no meaning the rate is returned uncorrected, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from trueline.core.errors import InputError

from .arrays import Floats
from .proportions import proportion_interval

LEAST_INFORMATION = 0.3  # of Se + Sp − 1, below which the report prints "uncorrected"
GRID = 2001  # rates tried, 0.05 points apart


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSource:
    """A judge's confusion counts on one source (a model, a data set) with human labels."""

    true_positives: int
    positives: int
    true_negatives: int
    negatives: int

    def __post_init__(self) -> None:
        hits = ((self.true_positives, self.positives), (self.true_negatives, self.negatives))
        for right, total in hits:
            if not (total > 0 and 0 <= right <= total):
                raise InputError(f"{right} right of {total} is no error rate; a source needs both classes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportedCard:
    """Sensitivity and specificity as they may be on a *new* source, with variances and covariance of that.

    ``sources`` sources were seen; predictions from them have ``sources − 1`` degrees of freedom.
    """

    sensitivity: float
    specificity: float
    sensitivity_variance: float
    specificity_variance: float
    covariance: float
    sources: int

    @property
    def information(self) -> float:
        """Youden's Se + Sp − 1: 0 for a judge that knows nothing."""
        return self.sensitivity + self.specificity - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedRate:
    """A rate corrected for the judge's errors, or the judged rate with ``reason`` why it is uncorrected."""

    value: float
    low: float
    high: float
    corrected: bool
    reason: str | None = None


def transported_card(sources: Sequence[CardSource]) -> TransportedCard:
    """A card from several sources, each weighing the same.

    With k sources whose rates have the standard deviation S, a new source's rate has the predictive variance
    S²(1 + 1/k). S² holds the sampling noise within sources as well, which errs to the safe side; it is at
    least the mean binomial variance ((x + 1)/(m + 2) rates), so that equal sources do not promise certainty.
    """
    if not sources:
        raise InputError("an error card needs at least one labelled source.")
    k = len(sources)
    hit = np.array([[s.true_positives, s.true_negatives] for s in sources], dtype=np.float64)
    size = np.array([[s.positives, s.negatives] for s in sources], dtype=np.float64)
    rates = hit / size
    smooth = (hit + 1) / (size + 2)
    within: Floats = (smooth * (1 - smooth) / (size + 2)).mean(axis=0)
    spread = np.cov(rates, rowvar=False, ddof=1) if k > 1 else np.zeros((2, 2))
    variance = np.maximum(np.diag(spread), within) * (1 + 1 / k)
    return TransportedCard(
        sensitivity=float(rates[:, 0].mean()),
        specificity=float(rates[:, 1].mean()),
        sensitivity_variance=float(variance[0]),
        specificity_variance=float(variance[1]),
        covariance=float(spread[0, 1]) * (1 + 1 / k),
        sources=k,
    )


def rogan_gladen(rate: float, n: float, card: TransportedCard, level: float = 0.95) -> CorrectedRate:
    """The true rate p behind a judged ``rate`` on n (effective) items: p = (rate + Sp − 1)/(Se + Sp − 1).

    Rogan and Gladen (American Journal of Epidemiology 107, 1978). The interval holds every p in [0, 1] whose
    expected judged rate q(p) = p·Se + (1 − p)(1 − Sp) is compatible with the rate (Fieller's argument):
    |rate − q(p)| ≤ t·√(q(1 − q)/n + p²·V(Se) + (1 − p)²·V(Sp) − 2p(1 − p)·C(Se, Sp)), t on Satterthwaite's
    degrees of freedom for the two parts. It stays valid as Se + Sp − 1 nears 0, where a delta method fails.

    Uncorrected, with the judged rate and its own interval: one source only (the variance between sources is
    unknown), Se + Sp − 1 < 0.3, or a corrected rate outside [0, 1].
    """
    plain = proportion_interval(rate * n, n, level=level)
    reason = None
    corrected = float("nan")
    if card.sources < 2:
        reason = "uncorrected: the card has one source, so how the judge varies between sources is unknown"
    elif card.information < LEAST_INFORMATION:
        reason = f"uncorrected: sensitivity + specificity − 1 = {card.information:.2f} is below 0.3"
    else:
        corrected = (rate + card.specificity - 1) / card.information
        if not 0 <= corrected <= 1:
            reason = f"uncorrected: the corrected rate {corrected:.3f} leaves [0, 1]: the card does not fit"
    if reason is not None:
        return CorrectedRate(value=rate, low=plain.low, high=plain.high, corrected=False, reason=reason)
    p = np.linspace(0.0, 1.0, GRID)
    expected = p * card.sensitivity + (1 - p) * (1 - card.specificity)
    # One more success and one more failure keep the sampling variance off 0 where q(p) reaches an end.
    smooth = (expected * n + 1) / (n + 2)
    sampling = smooth * (1 - smooth) / n
    judge = np.maximum(
        p**2 * card.sensitivity_variance
        + (1 - p) ** 2 * card.specificity_variance
        - 2 * p * (1 - p) * card.covariance,
        0.0,
    )
    total = sampling + judge
    df = total**2 / (sampling**2 / max(n - 1, 1) + judge**2 / (card.sources - 1))
    inside = p[np.abs(rate - expected) <= special.stdtrit(df, 0.5 + level / 2) * np.sqrt(total)]
    # The grid's step is added outwards; the corrected rate itself always belongs to the interval.
    step = float(p[1])
    low = min(float(inside[0]) - step, corrected) if len(inside) else corrected
    high = max(float(inside[-1]) + step, corrected) if len(inside) else corrected
    return CorrectedRate(value=corrected, low=max(0.0, low), high=min(1.0, high), corrected=True)
