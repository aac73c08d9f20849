"""Words of many texts as one array of numbers, and hashes of their n-grams.

Shapes: ``W`` words of all texts, ``N`` texts, ``G`` n-grams. Word numbers come from one :class:`Vocabulary`,
so that two collections encoded with the same one can be compared.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)


class Vocabulary(dict[str, int]):
    """Words by number, in the order in which they were first seen."""

    def __missing__(self, word: str) -> int:
        number = len(self)
        self[word] = number
        return number

    def encode(self, texts: Iterable[str]) -> "Tokens":
        """The lower-case words of the texts."""
        numbers: list[Ints] = []
        ends = [0]
        for text in texts:
            words = np.array([self[word] for word in WORD.findall(text.lower())], dtype=np.int64)
            numbers.append(words)
            ends.append(ends[-1] + len(words))
        flat = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
        return Tokens(words=flat, offsets=np.array(ends, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """``words`` [W] of all texts one after the other; text i is ``words[offsets[i]:offsets[i + 1]]``."""

    words: Ints
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Words of each text, [N]."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> Ints:
        """The text of each word, [W]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def ngrams(self, n: int) -> tuple[Hashes, Ints]:
        """(hash, text) of each n-gram of words, [G]; a text shorter than n has none."""
        owners = self.owners
        count = max(0, len(self.words) - n + 1)
        codes = scramble(self.words.astype(np.uint64) + np.uint64(1))
        value = np.zeros(count, dtype=np.uint64)
        for k in range(n):
            value = value * _BASE + codes[k : k + count]
        whole = owners[:count] == owners[n - 1 : n - 1 + count]
        return scramble(value[whole]), owners[:count][whole]

    def starts(self, n: int) -> Ints:
        """Where each n-gram of ``ngrams(n)`` begins in ``words``, [G]."""
        owners = self.owners
        count = max(0, len(self.words) - n + 1)
        return np.flatnonzero(owners[:count] == owners[n - 1 : n - 1 + count])

    def shingles(self, n: int) -> tuple[Hashes, Ints]:
        """Distinct (hash, text) of n-grams, sorted by text; a shorter text is one shingle, all its words."""
        hashes, owners = self.ngrams(n)
        short = np.flatnonzero((self.lengths < n) & (self.lengths > 0))
        whole = [
            np.bitwise_xor.reduce(
                scramble(
                    self.words[self.offsets[i] : self.offsets[i + 1]].astype(np.uint64)
                    + np.arange(1, self.lengths[i] + 1).astype(np.uint64) * _BASE
                )
            )
            for i in short
        ]
        hashes = np.concatenate([hashes, np.array(whole, dtype=np.uint64)])
        owners = np.concatenate([owners, short])
        order = np.lexsort((hashes, owners))
        hashes, owners = hashes[order], owners[order]
        new = np.ones(len(hashes), dtype=bool)
        new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
        return hashes[new], owners[new]


def scramble(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele et al. 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
