"""A judge card as Markdown: rates by source and category, calibration and agreement, and what it corrects."""

from collections.abc import Sequence

from .card import JudgeCard
from .rates import Interval, SourceRates

FIGURES = {
    "alpha": "Krippendorff's α with the labels (nominal)",
    "kappa": "Cohen's κ with the labels",
    "members_alpha": "Krippendorff's α of the ensemble's members with each other (nominal)",
    "brier": "Brier score",
    "ece_width": "expected calibration error, equal-width bins",
    "ece_mass": "expected calibration error, equal-mass bins",
}

REASONS = 3
NO_AGREEMENT = (
    "Agreement beyond chance is not shown (κ): a 1.0 of this judge may be another thing than what these labels call 1. "
    "Take labels of what it judges."
)


def card_text(card: JudgeCard) -> str:
    """The whole card for people."""
    pooled = card.pooled
    parts = [
        f"# {card.judge} ({card.fingerprint[:12]})",
        f"1.0 means: {card.positive}. {pooled.n + pooled.missing} answers labelled by {card.labelled_by}; "
        f"{pooled.missing} without a verdict{_reasons(card)}, which count in no rate. Data: {card.data}. "
        f"{card.note}".strip(),
        rates_table(card.sources, "source"),
    ]
    if card.categories:
        parts.append(rates_table(card.categories, "category"))
    if card.overall:
        lines = [
            f"- {FIGURES.get(name, name)}: {_show(figure.value, (figure.low, figure.high))}"
            for name, figure in card.overall.items()
        ]
        parts.append("\n".join(lines))
    if (kappa := card.overall.get("kappa")) is not None and kappa.low <= 0:
        parts.append(NO_AGREEMENT)
    if transport := transport_table(card):
        parts.append(transport)
    return "\n\n".join(parts)


def _reasons(card: JudgeCard) -> str:
    """The commonest reasons, in brackets."""
    told = [f"{count} × {reason}" for reason, count in list(card.reasons.items())[:REASONS]]
    more = len(card.reasons) - REASONS
    return f" ({'; '.join(told)}{f'; {more} other reasons' if more > 0 else ''})" if told else ""


def rates_table(sources: Sequence[SourceRates], what: str) -> str:
    """One row a source or category."""
    head = f"| {what} | positives | sensitivity | negatives | specificity | AUC | no verdict |"
    rows = [
        f"| {s.source or '–'} | {s.positives} | {_show(s.sensitivity, s.sensitivity_interval)} "
        f"| {s.negatives} | {_show(s.specificity, s.specificity_interval)} "
        f"| {_show(s.auc, s.auc_interval)} | {s.missing} |"
        for s in sources
    ]
    return "\n".join([head, "|" + " --- |" * 7, *rows])


def transport_table(card: JudgeCard) -> str:
    """Each source corrected by a card of the others; empty where fewer than two sources have both classes."""
    rows = [
        f"| {row.source} | {row.true_rate:.1%} | {row.judged_rate:.1%} | {row.pooled:.1%} "
        f"| {_corrected(row.corrected.value, row.corrected.low, row.corrected.high, row.corrected.reason)} |"
        for row in card.left_out()
    ]
    if not rows:
        return ""
    head = "| source left out | by the labels | judged | corrected, others pooled | corrected, transported |"
    return "\n".join([head, "|" + " --- |" * 5, *rows])


def _corrected(value: float, low: float, high: float, reason: str | None) -> str:
    return reason if reason is not None else f"{value:.1%} [{low:.1%}, {high:.1%}]"


def _show(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
