"""Contradictions: one prompt whose answers are preferred both ways, or labelled both ways.

In the graph of a prompt, an edge goes from each chosen answer to the one it beat; answers of one strongly
connected component have been preferred in a circle, as a > b and b > a are. For a Bradley–Terry loss such
rows cancel: gradient noise at the price of compute. Example: (Hi, a ≻ b) in line 3 and (Hi, b ≻ a) in line 9.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .duplicates import plain
from .finding import Check, Finding
from .reading import Row

WHY = "such rows pull in opposite directions: under Bradley-Terry their best difference is zero (arXiv 2305.18290)"


def contradictions(rows: Sequence[Row]) -> Check:
    """Rows that another row contradicts; all of them are found, since none is known to be the right one."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[plain(row.prompt)].append(row)
    found = []
    for group in groups.values():
        if len(group) > 1:
            found += _circles(group) if len(group[0].answers) == 2 else _both_ways(group)
    return Check(
        name="contradictions",
        grade="fault" if found else "clean",
        summary=f"{len({f.line for f in found})} rows are contradicted by others with the same prompt and answers",
        why=WHY,
        action="remove",
        findings=sorted(found, key=lambda finding: finding.line),
    )


def _circles(group: Sequence[Row]) -> list[Finding]:
    number: dict[str, int] = {}
    ends = [[number.setdefault(plain(answer), len(number)) for answer in row.answers] for row in group]
    graph = sparse.coo_matrix((np.ones(len(ends)), tuple(zip(*ends))), shape=(len(number), len(number)))
    _, part = connected_components(graph, directed=True, connection="strong")
    found = []
    for row, (better, worse) in zip(group, ends):
        if better == worse or part[better] != part[worse]:
            continue
        against = next((r.line for r, (b, w) in zip(group, ends) if (b, w) == (worse, better)), None)
        what = f"line {against} prefers the other" if against is not None else "preferred in a circle"
        found.append(Finding(line=row.line, what=what, other=against))
    return found


def _both_ways(group: Sequence[Row]) -> list[Finding]:
    by_answer: dict[str, list[Row]] = defaultdict(list)
    for row in group:
        by_answer[plain(row.answers[0])].append(row)
    found = []
    for same in by_answer.values():
        for row in same:
            against = next((other.line for other in same if other.label != row.label), None)
            if against is not None:
                found.append(
                    Finding(line=row.line, what=f"line {against} labels it otherwise", other=against)
                )
    return found
