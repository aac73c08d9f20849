"""Answers that do not fit their prompts: their words are compared with those of shuffled prompts.

Similarity is the cosine of TF-IDF vectors (Spärck Jones 1972) of prompt and answers. A row's p is the share of
other rows' prompts that are at least as similar to its answers. Where answers belong to other prompts, p is
uniform; so Storey's estimate (2002), π₀ = #{p > λ} / ((1 − λ)·n) at λ = ½, is the share of rows that fit no
better than chance. It is an upper bound of unrelated answers: an evasive one that shares no word with its prompt
looks the same; rows with few words ("It is Paris.") are left out, since they say nothing either way. An answer to a
later turn of the same conversation keeps to the topic and is often not found. Example of a misfit: a conversation's
first question paired with its last answer.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from .finding import Check, Finding, excerpt, percent
from .logistic import Floats
from .reading import Row
from .tokens import Tokens

DRAWS = 20  # shuffled prompts a row is compared with
LAMBDA = 0.5
MUCH, SOME = 0.15, 0.05
MOST = 20_000  # rows looked at: an estimate of a share needs no more
LEAST_WORDS = 20  # of a row's answers, below which sharing no word with the prompt means nothing
WHY = "pairs from other conversations teach to ignore the prompt"


def misfits(rows: Sequence[Row], prompts: Tokens, answers: Tokens) -> Check:
    """The share of rows that fit no better than shuffled ones, and the rows that fit worse than half of them.

    ``answers`` are the tokens of both answers of a pair together.
    """
    told = np.flatnonzero(answers.lengths >= LEAST_WORDS)
    chosen = np.random.default_rng(0).permutation(told)[:MOST]
    chosen.sort()
    if len(chosen) < 2 * DRAWS:
        words = (
            f"not looked for: {len(told)} rows have {LEAST_WORDS} words of answers, and shuffling needs "
            f"{2 * DRAWS}"
        )
        return Check(name="answers that do not fit", grade="not run", summary=words, why=WHY)
    p, _ = _against_shuffled(prompts, answers, chosen)
    share = min(1.0, float((p > LAMBDA).mean() / (1 - LAMBDA)))
    typical = float((p <= 1 / DRAWS).mean())
    found = [
        Finding(
            line=rows[i].line, what=f"“{excerpt(rows[i].prompt, 40)}” — “{excerpt(rows[i].answers[0], 40)}”"
        )
        for i, value in zip(chosen.tolist(), p)
        if value > LAMBDA
    ]
    grade = "fault" if share > MUCH else "note" if share > SOME else "clean"
    return Check(
        name="answers that do not fit",
        grade=grade,  # type: ignore[arg-type]
        summary=f"up to {percent(share)} of {len(chosen)} rows with {LEAST_WORDS} words of answers fit their prompt "
        f"no better than a shuffled one ({percent(typical)} fit better than all {DRAWS})",
        why=WHY,
        findings=found if grade != "clean" else (),
        numbers={"share": share, "better_than_all": typical, "rows_looked_at": len(chosen)},
    )


def _against_shuffled(prompts: Tokens, answers: Tokens, chosen: np.ndarray) -> tuple[Floats, Floats]:  # type: ignore[type-arg]
    """(p, own similarity) of the chosen rows."""
    size = int(max(prompts.words.max(initial=0), answers.words.max(initial=0))) + 1
    asked, said = _counts(prompts, size)[chosen], _counts(answers, size)[chosen]
    seen = np.bincount(said.indices, minlength=size) + np.bincount(asked.indices, minlength=size)
    idf = np.log(2 * len(chosen) / np.maximum(seen, 1))
    asked, said = _unit(asked, idf), _unit(said, idf)
    own = np.asarray(asked.multiply(said).sum(axis=1)).ravel()
    as_similar = np.zeros(len(chosen))
    for k in range(1, DRAWS + 1):
        # a cyclic shift of a random order: nobody meets its own prompt
        order = np.random.default_rng([1, k]).permutation(len(chosen))
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)
        similar = np.asarray(asked[other].multiply(said).sum(axis=1)).ravel()
        as_similar += np.where(similar == own, 0.5, similar > own)
    return as_similar / DRAWS, own


def _counts(tokens: Tokens, size: int) -> sparse.csr_matrix:
    places = (tokens.owners, tokens.words)
    return sparse.csr_matrix((np.ones(len(tokens.words)), places), shape=(len(tokens), size))


def _unit(counts: sparse.csr_matrix, idf: Floats) -> sparse.csr_matrix:
    """(1 + log count)·idf, each row of length 1."""
    weighted = counts.copy()
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ weighted)
