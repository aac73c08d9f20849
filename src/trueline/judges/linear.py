"""Linear text scoring over hashed n-grams, in plain numpy: the same number on every machine.

A text becomes three bags of hashed features: words, pairs of neighbouring words, and the character n-grams
(3 to 5) of each word with a space at either end. The logit is

    b + Σ_g Σ_{f in bag g} w[bucket(f)] / √|bag g|

so that a longer text does not score higher for its length alone. Hashes are polynomial over UTF-8 bytes in
64-bit arithmetic that wraps around, computed for a whole batch of texts at once; nothing depends on Python's
``hash``.

Shapes: ``C`` characters of the batch after normalisation, ``F`` features of the batch, ``N`` texts.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

UInts = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GROUPS = 3
CHAR_ORDERS = (3, 4, 5)
CHUNK = 4096  # texts hashed at once: bounds the memory, changes no value

_END = "\x00"
_SPACE = np.uint8(32)
_LINK = re.compile(r"https?://\S+|www\.\S+")
_USER = re.compile(r"@\w+")
_LONG_RUN = re.compile(r"(\w)\1{2,}")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "\x00": " "})


def _scramble(values: UInts) -> UInts:
    """The finaliser of splitmix64 (Steele et al. 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_BYTE = _scramble(np.arange(1, 257, dtype=np.uint64))  # one random-looking number a byte value
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MOST = 40  # bytes of a word that tell it from others
_POWERS = np.cumprod(np.concatenate([[np.uint64(1)], np.full(_MOST - 1, _BASE)]), dtype=np.uint64)
_IN_WORD = np.zeros(256, dtype=bool)
_IN_WORD[[*b"abcdefghijklmnopqrstuvwxyz0123456789'*$#"]] = True
_IN_WORD[128:] = True  # bytes of letters outside ASCII
_SALTS = tuple(np.uint64(salt) for salt in (0x51, 0xA3, 0xC7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Hashed features of a batch: bucket, text and group (0 words, 1 pairs, 2 characters) of each, [F]."""

    buckets: Ints
    texts: Ints
    groups: Ints
    size: int


def normalise(text: str) -> str:
    """Lower case, entities decoded, links and user names dropped, runs of a letter cut to two."""
    text = html.unescape(text).translate(_QUOTES).lower()
    text = _USER.sub("@", _LINK.sub(" ", text))
    return _LONG_RUN.sub(r"\1\1", text)


def features(texts: Sequence[str], bits: int) -> Features:
    """The features of the texts, hashed into ``2**bits`` buckets."""
    joined = _END.join(["", *(normalise(text) for text in texts), ""])
    raw = np.frombuffer(joined.encode("utf-8", "replace"), dtype=np.uint8)
    word = _IN_WORD[raw]
    # one space for each run of other characters, none of them lost at the end of a text
    keep = word | (raw == 0) | np.concatenate([[True], word[:-1]])
    text_of = (np.cumsum(raw == 0) - 1)[keep]
    chars = np.where(word, raw, np.where(raw == 0, np.uint8(0), _SPACE))[keep]
    inside = word[keep]
    codes = _BYTE[np.where(inside, chars, _SPACE)]  # [C]; the end of a text reads as a space

    hashes, owners, groups = [], [], []
    for group, (value, at) in enumerate(_bags(codes, inside, text_of)):
        hashes.append(_scramble(value ^ _SALTS[min(group, 2)]))
        owners.append(text_of[at])
        groups.append(np.full(len(at), min(group, 2), dtype=np.int64))
    shift = np.uint64(64 - bits)
    return Features(
        buckets=(np.concatenate(hashes) >> shift).astype(np.int64),
        texts=np.concatenate(owners),
        groups=np.concatenate(groups),
        size=len(texts),
    )


def _bags(codes: UInts, inside: NDArray[np.bool_], text_of: Ints) -> Iterator[tuple[UInts, Ints]]:
    """(hashes, positions) of the words, of the pairs, and of the character n-grams of each order."""
    before = np.concatenate([[False], inside[:-1]])
    starts = np.flatnonzero(inside & ~before)
    if not len(starts):
        empty = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
        yield from [empty] * (2 + len(CHAR_ORDERS))
        return
    members = np.flatnonzero(inside)
    number = np.cumsum((inside & ~before)[members]) - 1
    place = members - starts[number]
    terms = codes[members] * _POWERS[np.minimum(place, _MOST - 1)]
    words = np.add.reduceat(terms, np.flatnonzero(place == 0))
    yield words, starts
    same = text_of[starts[1:]] == text_of[starts[:-1]]
    yield (_scramble(words[:-1]) + words[1:] * _BASE)[same], starts[:-1][same]
    for order in CHAR_ORDERS:
        last = max(0, len(codes) - order + 1)
        value = np.zeros(last, dtype=np.uint64)
        within = np.ones(last, dtype=bool)
        for k in range(order):
            value += codes[k : k + last] * _POWERS[k]
            if 0 < k < order - 1:
                within &= inside[k : k + last]
        at = np.flatnonzero(within)
        yield value[at] * np.uint64(2 * order + 1), at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearModel:
    """Weights by bucket, [2**bits], and the bias of the logit."""

    weights: NDArray[np.float32]
    bias: float

    @property
    def bits(self) -> int:
        """log2 of the number of buckets."""
        return len(self.weights).bit_length() - 1

    def logits(self, texts: Sequence[str]) -> Floats:
        """One logit a text, [N]; −∞ for a text without a letter or digit, of which nothing is known."""
        out = np.empty(len(texts), dtype=np.float64)
        for start in range(0, len(texts), CHUNK):
            part = features(texts[start : start + CHUNK], self.bits)
            out[start : start + part.size] = self._logits(part)
        return out

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """σ(logit), [N]."""
        return np.asarray(expit(self.logits(texts)))

    def _logits(self, part: Features) -> Floats:
        cell = part.texts * GROUPS + part.groups
        cells = part.size * GROUPS
        totals = np.bincount(cell, self.weights[part.buckets], minlength=cells)
        counts = np.bincount(cell, minlength=cells)
        bags: Floats = (totals / np.sqrt(np.maximum(counts, 1))).reshape(part.size, GROUPS)
        found = counts.reshape(part.size, GROUPS).sum(axis=1) > 0
        return np.where(found, self.bias + bags.sum(axis=1), -np.inf)
