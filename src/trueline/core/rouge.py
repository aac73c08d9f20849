"""ROUGE-L (Lin 2004): how much of one text stands in another, in order, by the longest common subsequence of words.

Words are runs of letters and digits, case aside, not stemmed. With L common words: recall = L/reference words,
precision = L/candidate words, F = 2PR/(P + R). Example: "the cat sat" of "the cat on the mat" has L = 2, recall 2/5,
precision 2/3, F = 1/2.
"""

import re
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge:
    """Recall, precision and their harmonic mean, each in [0, 1]; all 0 where nothing is shared."""

    recall: float
    precision: float
    f: float


def rouge_l(candidate: str, reference: str) -> Rouge:
    """Of two texts; an empty one shares nothing."""
    said, wanted = rouge_words(candidate), rouge_words(reference)
    common = longest_common_subsequence(said, wanted)
    if not common:
        return Rouge(recall=0.0, precision=0.0, f=0.0)
    recall, precision = common / len(wanted), common / len(said)
    return Rouge(recall=recall, precision=precision, f=2 * recall * precision / (recall + precision))


def rouge_words(text: str) -> list[str]:
    """The words that are compared."""
    return [word.casefold() for word in _WORD.findall(text)]


def longest_common_subsequence(first: list[str], second: list[str]) -> int:
    """Length of the longest sequence of words that stands in both in order, gaps allowed."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]
