"""Length and style: how far an annotator would get who sees nothing but the look of an answer.

Singhal et al. 2023 (arXiv 2310.03716): optimising a reward for length alone gives most of what RLHF gains;
Park et al. 2024 (arXiv 2403.19159): DPO exploits the length bias of its pairs. Style is counted by a stated
list (lists, headings, bold, code, exclamation marks, questions, apologies, refusal openings).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse, stats

from trueline.core.statistics import Interval, holm, wilson

from .finding import Check, percent
from .logistic import Floats, Problem, standardised
from .reading import Row
from .tokens import Ints

_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} |^\*\*[^*\n]+\*\*:?\s*$", re.MULTILINE)
_APOLOGY = re.compile(r"\b(?:sorry|apologi[sz]e|apologies|unfortunately)\b", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:i|we)(?:'m| am|’m)? ?(?:really |very |so )?(?:can't|can’t|cannot|can not|won't|won’t|will not|"
    r"unable to|not able to|sorry,? but)\b|\bas an ai\b",
    re.IGNORECASE,
)
_OPENING = 120
STYLES: Mapping[str, Callable[[str], float]] = {
    "list lines": lambda text: len(_LIST.findall(text)),
    "headings": lambda text: len(_HEADING.findall(text)),
    "bold": lambda text: text.count("**") // 2,
    "code blocks": lambda text: text.count("```") // 2,
    "exclamation marks": lambda text: text.count("!"),
    "question marks": lambda text: text.count("?"),
    "apology at the start": lambda text: float(_APOLOGY.search(text[:_OPENING]) is not None),
    "refusal at the start": lambda text: float(_REFUSAL.search(text[:_OPENING]) is not None),
}
FAR, NEAR = 0.60, 0.55  # accuracies above which a look-only annotator is a fault, and worth a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """How a feature goes with the label: the share of rows where more of it is preferred, among ``n`` that
    differ."""

    name: str
    share: float
    n: int
    interval: Interval
    p_adjusted: float


def lengths(rows: Sequence[Row]) -> Floats:
    """log(1 + characters) of each answer, [N, answers]."""
    return np.log1p(np.array([[len(answer) for answer in row.answers] for row in rows], dtype=np.float64))


def styles(rows: Sequence[Row]) -> Floats:
    """Counts of the styles, [N, answers, styles]."""
    return np.array(
        [[[count(answer) for count in STYLES.values()] for answer in row.answers] for row in rows],
        dtype=np.float64,
    )


def look_problem(rows: Sequence[Row], columns: Floats, groups: Ints) -> Problem:
    """Columns [N, answers, F] as a problem: their differences for pairs, centred for labelled answers."""
    if columns.shape[1] == 2:
        values = standardised(columns[:, 0] - columns[:, 1])
        signs = np.ones(len(rows))
    else:
        values = standardised(columns[:, 0] - columns[:, 0].mean(axis=0))
        signs = np.where([bool(row.label) for row in rows], 1.0, -1.0)
    return Problem(features=sparse.csr_matrix(values), signs=signs, groups=groups, bias=columns.shape[1] == 1)


def length_bias(rows: Sequence[Row], groups: Ints) -> Check:
    """The accuracy of an annotator who sees the answers' lengths only."""
    long = lengths(rows)
    if long.shape[1] == 2:
        longer = int((long[:, 0] > long[:, 1]).sum())
        differ = int((long[:, 0] != long[:, 1]).sum())
        right, n, base = max(longer, differ - longer), differ, 0.5
        word = "longer" if 2 * longer >= differ else "shorter"
        ratio = float(np.median(np.exp(long[:, 0] - long[:, 1])))
        how = f"always taking the {word} answer; the chosen one is {ratio:.2f} times as long (median)"
    else:
        problem = look_problem(rows, long[:, :, None], groups)
        right, n = int((problem.cross_validated() * problem.signs > 0).sum()), len(rows)
        base = max((problem.signs > 0).mean(), (problem.signs < 0).mean())
        how = f"by a threshold on length, where always saying the commoner label has {percent(base)}"
    return _graded("length bias", right, n, float(base), how, LENGTH_WHY)


def style_bias(rows: Sequence[Row], groups: Ints) -> Check:
    """The accuracy of an annotator who sees length and style, and each style's own lean."""
    counts = styles(rows)
    columns = np.concatenate([lengths(rows)[:, :, None], np.log1p(counts)], axis=2)
    problem = look_problem(rows, columns, groups)
    right = int((problem.cross_validated() * problem.signs > 0).sum())
    base = (
        0.5 if problem.bias is False else float(max((problem.signs > 0).mean(), (problem.signs < 0).mean()))
    )
    leans = _leans(rows, counts)
    strong = [
        f"{lean.name} {percent(lean.share)} of {lean.n}"
        for lean in leans
        if lean.p_adjusted < 0.05 and abs(lean.share - 0.5) >= 0.05
    ]
    how = "cross-validated, by length and style" + (
        f"; preferred with more {', '.join(strong)}" if strong else ""
    )
    check = _graded("style bias", right, len(rows), base, how, STYLE_WHY)
    table = {
        lean.name: {
            "share": lean.share, "n": lean.n, "low": lean.interval.low, "high": lean.interval.high,
            "p_holm": lean.p_adjusted,
        }
        for lean in leans
    }  # fmt: skip
    return Check(
        name=check.name, grade=check.grade, summary=check.summary, why=check.why,
        numbers={**check.numbers, "styles": table},
    )  # fmt: skip


LENGTH_WHY = (
    "a reward learns length instead of quality (arXiv 2310.03716), and DPO grows it (arXiv 2403.19159)"
)
STYLE_WHY = (
    "a model is rewarded for the look of an answer (arXiv 2310.03716); lists, bold and apologies spread"
)


def _leans(rows: Sequence[Row], counts: Floats) -> list[Lean]:
    """For pairs: among those whose counts differ, the share whose chosen answer has more. For labels: among
    answers that have any of it, the share labelled true."""
    kept: list[tuple[str, int, int, float]] = []
    signs = np.array([row.label is not False for row in rows])
    for at, name in enumerate(STYLES):
        if counts.shape[1] == 2:
            more = counts[:, 0, at] - counts[:, 1, at]
            n, good, rate = int((more != 0).sum()), int((more > 0).sum()), 0.5
        else:
            some = counts[:, 0, at] > 0
            n, good, rate = int(some.sum()), int((some & signs).sum()), float(signs.mean())
        if n and 0 < rate < 1:
            kept.append((name, good, n, float(stats.binomtest(good, n, rate).pvalue)))
    if not kept:
        return []
    adjusted = holm([p for *_, p in kept])
    return [
        Lean(name=name, share=good / n, n=n, interval=wilson(good, n), p_adjusted=float(p))
        for (name, good, n, _), p in zip(kept, adjusted)
    ]


def _graded(name: str, right: int, n: int, base: float, how: str, why: str) -> Check:
    if n == 0:
        return Check(name=name, grade="clean", summary="all answers look alike", why=why)
    interval = wilson(right, n)
    gain = interval.low - base
    grade = "fault" if gain > FAR - 0.5 else "note" if gain > NEAR - 0.5 else "clean"
    words = (
        f"an annotator who sees nothing else is right in {percent(right / n)} "
        f"[{percent(interval.low)}, {percent(interval.high)}] of {n} rows, {how}"
    )
    if interval.low <= base:
        words = f"tells nothing of the label beyond the {percent(base)} that need no look; {words}"
    numbers = {"accuracy": right / n, "low": interval.low, "high": interval.high, "n": n, "chance": base}
    return Check(name=name, grade=grade, summary=words, why=why, numbers=numbers)  # type: ignore[arg-type]
