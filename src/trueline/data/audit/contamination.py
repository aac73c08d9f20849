"""Which evaluation items stand in a file: by shared 13-grams of words.

After Brown et al. 2020 (arXiv 2005.14165, appendix C). An item is one or several texts (its question with the options,
and the question alone). It is in the file if a row holds 13 words in a row of one of them, or, of a text of 6 to 12
words, all of it. N-grams of more than twenty items of a measure are its own wording and count for nothing; shorter
texts are not looked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np

from .overlap import LONG, SHORT, WORDING
from .tokens import WORD, Hashes, Ints, Tokens, Vocabulary


class SearchedFile:
    """The n-grams of a file's rows, made when an item of that length asks for them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.vocabulary = Vocabulary()
        self.rows: Tokens = self.vocabulary.encode(texts)
        self._first = cache(self._first_rows)

    def find(self, items: Sequence[Sequence[str]]) -> Mapping[int, int]:
        """Item -> the first row that holds it (both counted from 0), for the items of one measure, each its texts."""
        asked = self.vocabulary.encode(text for texts in items for text in texts)
        item_of = np.repeat(np.arange(len(items), dtype=np.int64), [len(texts) for texts in items])
        found: dict[int, int] = {}
        for n in (LONG, *range(SHORT, LONG)):
            hashes, texts_of = asked.ngrams(n)
            wanted = asked.lengths >= LONG if n == LONG else asked.lengths == n
            kept = wanted[texts_of]
            hashes, owners = _distinctive(hashes[kept], item_of[texts_of[kept]])
            known, rows = self._first(n)
            if not len(hashes) or not len(known):
                continue
            place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            same = known[place] == hashes
            for item, row in zip(owners[same].tolist(), rows[place[same]].tolist()):
                found[item] = min(row, found.get(item, row))
        return found

    def searchable(self, items: Sequence[Sequence[str]]) -> int:
        """How many of the items have a text that is long enough to be looked for."""
        return sum(any(len(WORD.findall(text)) >= SHORT for text in texts) for texts in items)

    def _first_rows(self, n: int) -> tuple[Hashes, Ints]:
        """Sorted distinct n-grams of the file, each with the first row that holds it."""
        hashes, rows = self.rows.ngrams(n)
        unique, first = np.unique(hashes, return_index=True)
        return unique, rows[first]


def _distinctive(hashes: Hashes, owners: Ints) -> tuple[Hashes, Ints]:
    """Distinct pairs of (hash, item), but of the hashes that more than WORDING items share."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    hashes, owners = hashes[new], owners[new]
    _, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    kept = counts[which] <= WORDING if len(hashes) else np.zeros(0, dtype=bool)
    return hashes[kept], owners[kept]
