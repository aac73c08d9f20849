"""A baseline that never sees the model: how well the texts alone tell members from non-members.

Members and non-members of real lists often differ by date, source or style, and a classifier of the texts
then beats every attack on the model (Das, Zhang, Tramèr 2024, arXiv 2406.16201). Here: naive Bayes over words
and pairs of words, each text scored by the counts of the folds that it is not in. Leaving a fold out makes a
blind AUC fall a little below one half where nothing tells the classes apart (what a text shares with its own
class is missing from the counts); it never makes one rise.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

FOLDS = 10
SMOOTHING = 1.0  # added to every count (Laplace)
_WORD = re.compile(r"\w+|[^\w\s]")


def blind_scores(texts: Sequence[str], members: Sequence[bool], clusters: Sequence[str]) -> list[float]:
    """Mean log-odds a feature that the text is a member, [n]; texts of one cluster share a fold."""
    bags = [_features(text) for text in texts]
    folds = [sha256(cluster.encode()).digest()[0] % FOLDS for cluster in clusters]
    totals = {kind: _count(bags, [m == kind for m in members]) for kind in (True, False)}
    scores = [0.0] * len(texts)
    for fold in sorted(set(folds)):
        inside = [f == fold for f in folds]
        held = {
            kind: _count(bags, [i and m == kind for i, m in zip(inside, members)]) for kind in (True, False)
        }
        kept = {kind: Counter(totals[kind]) for kind in totals}
        for kind in kept:
            kept[kind].subtract(held[kind])
        # A feature that no other fold holds says nothing of the text, only of who was left out: it is skipped.
        seen = {feature for kind in kept for feature, count in kept[kind].items() if count > 0}
        sizes = {kind: kept[kind].total() + SMOOTHING * len(seen) for kind in kept}
        for index, bag in enumerate(bags):
            known = [feature for feature in bag if feature in seen]
            if inside[index] and known:
                odds = sum(
                    math.log((kept[True][f] + SMOOTHING) / sizes[True])
                    - math.log((kept[False][f] + SMOOTHING) / sizes[False])
                    for f in known
                )
                scores[index] = odds / len(known)
    return scores


def _features(text: str) -> list[str]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def _count(bags: Sequence[Sequence[str]], chosen: Sequence[bool]) -> "Counter[str]":
    return Counter(feature for bag, wanted in zip(bags, chosen) if wanted for feature in bag)
