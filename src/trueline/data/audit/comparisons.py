"""Judged comparisons as preference pairs: two published layouts that hold pairs under other names.

- Auto-J (Li et al. 2023, arXiv 2310.05470): ``prompt``, ``response 1``, ``response 2`` and a ``label``: 0 where
  the first is better, 1 where the second is, 2 for a tie, which prefers neither.
- HHH alignment (Askell et al. 2021, arXiv 2112.00861) as Prometheus 2 (Kim et al. 2024, arXiv 2405.01535, data
  Apache-2.0) asks it: ``chosen_instruction`` and ``rejected_instruction`` are a judge's whole prompts, in which
  the request and one response stand under headings, followed by a rubric that is the judge's and not the pair's.

Example: ``{"prompt": "Hi", "response 1": "Yo", "response 2": "Hello!", "label": 1}`` is the pair of chosen
"Hello!" and rejected "Yo".
"""

import re
from collections.abc import Mapping
from typing import Any

ORDERS: Mapping[Any, tuple[str, str]] = {0: ("response 1", "response 2"), 1: ("response 2", "response 1")}
_JUDGED = re.compile(
    r"###The instruction to evaluate:\n(.*?)\n\n###Response to evaluate:\n(.*)\n\n###Score Rubrics:\n",
    re.DOTALL,
)
_USED = {"response 1", "response 2", "label", "chosen_instruction", "rejected_instruction"}


def as_pair(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with ``prompt``, ``chosen`` and ``rejected``; as it was where it has neither layout.

    A tie and a judge's prompt that cannot be taken apart lack their sides, and are found unusable.
    """
    if "response 1" in row and "response 2" in row:
        sides = dict(zip(("chosen", "rejected"), map(row.get, ORDERS.get(row.get("label"), ()))))
    elif "chosen_instruction" in row and "rejected_instruction" in row:
        sides = _taken_apart(str(row["chosen_instruction"]), str(row["rejected_instruction"]))
    else:
        return dict(row)
    return {name: value for name, value in row.items() if name not in _USED} | sides


def best_and_worst(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A ranked list (``answers`` with ``ranks``, 1 the best, or ``scores``) as the pair of its best and worst
    answer; any other row as it is."""
    answers, ranks = row.get("answers"), row.get("ranks", [-v for v in _numbers(row.get("scores"))])
    if not isinstance(answers, list) or len(_numbers(ranks)) != len(answers) or len(answers) < 2:
        return row
    order = sorted(range(len(answers)), key=lambda k: ranks[k])
    return {**row, "chosen": answers[order[0]], "rejected": answers[order[-1]]}


def _numbers(values: Any) -> list[float]:
    """The values if they are numbers, else none."""
    told = isinstance(values, list) and all(isinstance(v, (int, float)) for v in values)
    return values if told else []


def _taken_apart(chosen: str, rejected: str) -> dict[str, Any]:
    better, worse = _JUDGED.search(chosen), _JUDGED.search(rejected)
    if better is None or worse is None or better[1] != worse[1]:
        return {}
    return {"prompt": better[1], "chosen": better[2], "rejected": worse[2]}
