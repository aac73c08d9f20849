"""Likely flipped labels, by a cross-validated linear model, with the most that their precision can be.

After confident learning (Northcutt et al. 2021, arXiv 1911.00068): a row is doubtful where a model that never
saw it finds its label improbable. How many of the doubtful are truly wrong is not known from that alone, so
it is measured: a twentieth of the labels is flipped on purpose and the same procedure run again, which gives
the chance that a wrong label falls below a threshold, TPR(t). With π the share of wrong labels and F(t) the
share of all rows below it, Bayes gives

    precision(t) = π · TPR(t) / F(t).

π is estimated by the disagreement among the fifth of rows of which the model is surest. The model errs there by
itself too, so π and with it the precision are upper bounds: rows are named where the bound is at least one half,
and it is told as "at most". Where the model agrees with few of the labels (``TELLING``), most of its
disagreement is its own error and the bound says nothing, so none is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import expit

from trueline.core.statistics import wilson

from .finding import Check, Finding, excerpt, percent
from .logistic import Floats, Problem, platt, word_features
from .reading import Row
from .tokens import Ints, Tokens

PLANTED = 0.05
SURE = 0.20
THRESHOLDS = np.array([0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01])
TELLING = 0.65  # agreement with the labels below which no precision is told
LEAST = 100  # rows below which nothing can be learnt
WHY = "preference losses take every label as true, and degrade where it is not (arXiv 2403.00409)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """``given`` [N]: the probability of each row's own label, out of fold; the rest describes the file.

    ``wrong`` and ``precision`` are upper bounds, ``recall`` is measured on labels flipped on purpose.
    """

    given: Floats
    accuracy: float
    wrong: float
    threshold: float | None
    precision: float
    recall: float


def label_problem(rows: Sequence[Row], answers: Sequence[Tokens], look: Floats, groups: Ints) -> Problem:
    """Words of the answers and their look ([N, F], standardised) as features.

    ``answers`` are the tokens of the first and, for pairs, of the second answer of each row.
    """
    if len(answers) == 2:
        both = word_features(_joined(answers))
        words = both[: len(rows)] - both[len(rows) :]
        signs = np.ones(len(rows))
    else:
        words = word_features(answers[0])
        signs = np.where([bool(row.label) for row in rows], 1.0, -1.0)
    features = sparse.hstack([words, sparse.csr_matrix(look)]).tocsr()
    return Problem(features=features, signs=signs, groups=groups, bias=len(answers) == 1)


def doubts(problem: Problem, seed: int = 0) -> Doubt:
    """The probability of each label, and what to expect of those that are improbable."""
    given = _given(problem, seed)
    n = len(given)
    draws = np.random.default_rng([seed, 1])
    planted = draws.permutation(n)[: max(1, round(PLANTED * n))]
    turned = _given(_with_flips(problem, planted), seed)
    sure = np.argsort(-np.abs(given - 0.5), kind="stable")[: max(1, round(SURE * n))]
    wrong = float((given[sure] < 0.5).mean())
    accuracy = float((given > 0.5).mean())
    none = Doubt(given=given, accuracy=accuracy, wrong=wrong, threshold=None, precision=0.0, recall=0.0)
    if wilson((given > 0.5).sum(), n).low <= 0.55:
        return none
    for threshold in THRESHOLDS:
        below = float((given < threshold).mean())
        # of the rows flipped on purpose a share π was wrong before, and is right now
        caught = min(1.0, float((turned[planted] < threshold).mean()) / max(1 - wrong, 0.5))
        precision = min(1.0, wrong * caught / below) if below else 0.0
        if precision >= 0.5 and below:
            return replace(none, threshold=float(threshold), precision=precision, recall=caught)
    return none


def likely_flipped(rows: Sequence[Row], problem: Problem) -> Check:
    """Rows whose label goes against what the others teach."""
    if len(rows) < LEAST or len(set(problem.signs.tolist())) < 2 - (not problem.bias):
        summary = f"not looked for: {len(rows)} rows of both labels are needed, at least {LEAST}"
        return Check(name="likely flipped labels", grade="not run", summary=summary, why=WHY)
    doubt = doubts(problem)
    told = f"cross-validated, a linear model agrees with {percent(doubt.accuracy)} of the labels"
    numbers = {
        "accuracy": doubt.accuracy, "wrong_at_most": doubt.wrong, "threshold": doubt.threshold,
        "precision_at_most": doubt.precision if doubt.accuracy >= TELLING else None, "recall_of_planted": doubt.recall,
    }  # fmt: skip
    if doubt.threshold is None:
        summary = f"{told}: too few to say of any row that its label is more likely wrong than right"
        return Check(name="likely flipped labels", grade="clean", summary=summary, why=WHY, numbers=numbers)
    order = [i for i in np.argsort(doubt.given, kind="stable").tolist() if doubt.given[i] < doubt.threshold]
    found = [
        Finding(line=rows[i].line, what=f"own label {percent(doubt.given[i])} likely: {_shown(rows[i])}")
        for i in order
    ]
    telling = doubt.accuracy >= TELLING and doubt.precision < 1
    bound = (
        f"at most {percent(doubt.precision)} of those named are wrong"
        if telling
        else "too few to say how many of those named are wrong, so read them"
    )
    summary = (
        f"{len(found)} rows whose label goes against the rest; {told}, {bound}; "
        f"{percent(doubt.recall)} of planted flips are found"
    )
    return Check(
        name="likely flipped labels", grade="note", summary=summary, why=WHY, findings=found, numbers=numbers
    )  # fmt: skip


def _given(problem: Problem, seed: int) -> Floats:
    logits = problem.cross_validated(seed)
    return np.asarray(expit(platt(logits, problem.signs, bias=problem.bias) * problem.signs))


def _with_flips(problem: Problem, places: Ints) -> Problem:
    if problem.bias:
        signs = problem.signs.copy()
        signs[places] *= -1
        return replace(problem, signs=signs)
    turn = np.ones(len(problem.signs))
    turn[places] = -1
    return replace(problem, features=(sparse.diags_array(turn) @ problem.features).tocsr())


def _joined(parts: Sequence[Tokens]) -> Tokens:
    offsets = np.concatenate([parts[0].offsets, parts[1].offsets[1:] + parts[0].offsets[-1]])
    return Tokens(words=np.concatenate([part.words for part in parts]), offsets=offsets)


def _shown(row: Row) -> str:
    if len(row.answers) == 2:
        return f"“{excerpt(row.answers[0], 40)}” over “{excerpt(row.answers[1], 40)}”"
    return f"“{excerpt(row.answers[0])}” labelled {str(row.label).lower()}"
