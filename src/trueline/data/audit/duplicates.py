"""Exact and near-duplicate rows: repeated examples weigh more than was meant, and leak across splits.

Lee et al. 2022 (arXiv 2107.06499): deduplicated training data memorises ten times less. Exact means equal in
prompt and answers but for case and white space; near means Jaccard ≥ 0.8 over 5-grams of words (their
threshold), of prompt and answers together. The first of each cluster stays.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .finding import Check, Finding, percent
from .minhash import Shingled, near_pairs
from .reading import Row
from .tokens import Tokens

THRESHOLD = 0.8
SHINGLE = 5
WHY = "repeated rows weigh more than meant, are memorised and leak into held-out parts (arXiv 2107.06499)"


def plain(text: str) -> str:
    """The text without case and with single spaces."""
    return " ".join(text.casefold().split())


def exact_duplicates(rows: Sequence[Row]) -> Check:
    """Rows that repeat an earlier one."""
    first: dict[tuple[object, ...], int] = {}
    found = []
    for row in rows:
        key = (plain(row.prompt), *map(plain, row.answers), row.label)
        earlier = first.setdefault(key, row.line)
        if earlier != row.line:
            found.append(Finding(line=row.line, what=f"repeats line {earlier}", other=earlier))
    return Check(
        name="exact duplicates",
        grade="fault" if found else "clean",
        summary=f"{len(found)} of {len(rows)} rows ({percent(len(found) / len(rows))}) repeat an earlier one",
        why=WHY,
        action="remove",
        findings=found,
    )


def near_duplicates(rows: Sequence[Row], tokens: Tokens, exact: Check) -> Check:
    """Rows that nearly repeat an earlier one and are no exact duplicates; ``tokens`` are of ``row.text``.

    Rows of labelled data with opposite labels are contradictions and not counted here.
    """
    texts = Shingled(tokens, SHINGLE)
    gone = {finding.line for finding in exact.findings}
    alike = {(a, b): j for a, b, j in near_pairs(texts, THRESHOLD) if rows[a].label == rows[b].label}
    ends = np.array(list(alike), dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    _, cluster = connected_components(graph, directed=False)
    first: dict[int, int] = {}
    nearest: dict[int, tuple[int, float]] = {}
    for (a, b), j in alike.items():
        if j > nearest.get(b, (0, 0.0))[1]:
            nearest[b] = (a, j)
    found = []
    for place in np.unique(ends).tolist():
        if first.setdefault(int(cluster[place]), place) == place or rows[place].line in gone:
            continue
        other, j = nearest.get(place, (first[int(cluster[place])], 0.0))
        words = f"resembles line {rows[other].line}" + (f" (Jaccard {j:.2f})" if j else " by way of others")
        found.append(Finding(line=rows[place].line, what=words, other=rows[other].line))
    return Check(
        name="near duplicates",
        grade="fault" if len(found) > 0.01 * len(rows) else "note" if found else "clean",
        summary=f"{len(found)} rows ({percent(len(found) / len(rows))}) resemble an earlier one, Jaccard ≥ {THRESHOLD} "
        f"over {SHINGLE}-grams of words",
        why=WHY,
        action="remove",
        findings=found,
    )
