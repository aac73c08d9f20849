"""Near-duplicates by MinHash and banding (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch. 3).

Two texts agree in one minimum with probability J, the Jaccard similarity of their shingles; 16 bands of 4
minima make them candidates with probability 1 − (1 − J⁴)¹⁶: .9998 at J = .8, .64 at .5. Every candidate is
verified by its exact J, so nothing is called a duplicate by chance.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .tokens import Hashes, Ints, Tokens, scramble

BANDS, ROWS_A_BAND = 16, 4
_CHUNK = 1 << 20  # shingles hashed at once: bounds the memory


class Shingled:
    """The shingles of each text with their MinHash bands."""

    def __init__(self, tokens: Tokens, n: int) -> None:
        self.hashes, self.owners = tokens.shingles(n)
        self.size = len(tokens)
        self.starts = np.searchsorted(self.owners, np.arange(self.size + 1))

    def of(self, text: int) -> Hashes:
        """The sorted shingles of one text."""
        return self.hashes[self.starts[text] : self.starts[text + 1]]

    def jaccard(self, a: int, b: int) -> float:
        """|A ∩ B| / |A ∪ B|; 0 where either is empty."""
        one, two = self.of(a), self.of(b)
        if not len(one) or not len(two):
            return 0.0
        common = len(np.intersect1d(one, two, assume_unique=True))
        return common / (len(one) + len(two) - common)

    def bands(self) -> Iterator[tuple[Hashes, Ints]]:
        """(key, text) of each text that has shingles, a band at a time."""
        present = np.flatnonzero(np.diff(self.starts) > 0)
        draws = np.random.default_rng(0)
        for _ in range(BANDS):
            key = np.zeros(len(present), dtype=np.uint64)
            for _ in range(ROWS_A_BAND):
                factor, offset = draws.integers(0, 2**64, 2, dtype=np.uint64)
                key = scramble(key + self._minima(factor | np.uint64(1), offset, present))
            yield key, present

    def _minima(self, factor: np.uint64, offset: np.uint64, present: Ints) -> Hashes:
        starts = self.starts[present]
        least = np.empty(len(present), dtype=np.uint64)
        at = 0
        while at < len(present):
            end = max(at + 1, int(np.searchsorted(starts, starts[at] + _CHUNK)))
            last = starts[end] if end < len(present) else len(self.hashes)
            values = (self.hashes[starts[at] : last] ^ offset) * factor
            values ^= values >> np.uint64(32)
            least[at:end] = np.minimum.reduceat(values, starts[at:end] - starts[at])
            at = end
        return least


def near_pairs(texts: Shingled, threshold: float) -> list[tuple[int, int, float]]:
    """(earlier, later, J) with J ≥ threshold: each text against the first of each of its buckets."""
    seen: dict[tuple[int, int], float] = {}
    for key, present in texts.bands():
        for a, b in zip(*_with_first(key, present)):
            pair = (int(a), int(b))
            if pair not in seen:
                seen[pair] = texts.jaccard(*pair)
    return sorted((a, b, j) for (a, b), j in seen.items() if j >= threshold)


def near_across(
    texts: Shingled, split: int, threshold: float, *, most: int = 64
) -> dict[int, tuple[int, float]]:
    """For each text before ``split`` its nearest one from ``split`` on, where J ≥ threshold.

    At most ``most`` texts of a bucket are looked at.
    """
    best: dict[int, tuple[int, float]] = {}
    seen: set[tuple[int, int]] = set()
    for key, present in texts.bands():
        order = np.argsort(key, kind="stable")
        ordered, members = key[order], present[order]
        for group in np.split(members, np.flatnonzero(np.diff(ordered)) + 1):
            cut = int(np.searchsorted(group, split))
            if not 0 < cut < len(group):
                continue
            for a in group[:cut].tolist():
                for b in group[cut : cut + most].tolist():
                    if (a, b) in seen:
                        continue
                    seen.add((a, b))
                    similarity = texts.jaccard(a, b)
                    if similarity >= threshold and similarity > best.get(a, (0, 0.0))[1]:
                        best[a] = (b, similarity)
    return best


def _with_first(key: Hashes, present: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each text that shares its key with an earlier one, beside the first that has that key."""
    order = np.argsort(key, kind="stable")
    ordered, members = key[order], present[order]
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    first = members[np.flatnonzero(new)[np.cumsum(new) - 1]]
    again = ~new
    return first[again], members[again]
