"""Overlap with evaluation items: trained on what it will be asked, a model is measured by heart.

Shared 13-grams of words (Brown et al. 2020, arXiv 2005.14165, appendix C); items of 6 to 12 words, where a
prompt holds all of them in order; and near-duplicates, Jaccard ≥ 0.7 over 3-grams of words between prompt and
item. N-grams of more than twenty items are a measure's own wording and are no leak. UltraFeedback shipped
TruthfulQA's questions (its card says so).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .finding import Check, Finding, excerpt
from .minhash import Shingled, near_across
from .reading import Row
from .tokens import Hashes, Ints, Tokens, Vocabulary

LONG, SHORT = 13, 6
WORDING = 20
OWN, LEAST = 0.5, 20  # share and number of a measure's items above which a file seems to be its own data
NEAR, NEAR_SHINGLE = 0.7, 3
_BITS = 22
WHY = "a leaked item measures memory (arXiv 2005.14165, appendix C)"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """The text of one item, and the measure that asks it."""

    measure: str
    text: str


def overlap(
    rows: Sequence[Row],
    items: Sequence[EvaluationItem],
    vocabulary: Vocabulary,
    prompts: Tokens,
    texts: Tokens,
    unchecked: Sequence[str] = (),
) -> Check:
    """Rows that hold an item's words; ``texts`` are prompts with answers, ``unchecked`` measures not compared."""
    asked = vocabulary.encode(item.text for item in items)
    hits: dict[int, tuple[int, str]] = {}
    spelt = list(vocabulary)
    for row, item, start in _shared(texts, asked, LONG, asked.lengths >= LONG):
        words = " ".join(spelt[word] for word in texts.words[start : start + LONG])
        hits.setdefault(row, (item, f"{LONG} words in a row, “{words}”"))
    for n in range(SHORT, LONG):
        for row, item, _ in _shared(prompts, asked, n, asked.lengths == n):
            hits.setdefault(row, (item, "the whole item"))
    both = Tokens(
        words=np.concatenate([prompts.words, asked.words]),
        offsets=np.concatenate([prompts.offsets, asked.offsets[1:] + prompts.offsets[-1]]),
    )
    enough = both.lengths >= SHORT
    for row, (place, similarity) in near_across(Shingled(both, NEAR_SHINGLE), len(rows), NEAR).items():
        if enough[row] and enough[place]:
            hits.setdefault(row, (place - len(rows), f"near-duplicate, Jaccard {similarity:.2f}"))
    found = [
        Finding(
            line=rows[row].line, what=f"{items[item].measure}, {how}: item “{excerpt(items[item].text, 50)}”"
        )
        for row, (item, how) in sorted(hits.items())
    ]
    counts = Counter(items[item].measure for item, _ in hits.values())
    shown = ", ".join(f"{name} {n}" for name, n in counts.most_common()) or "none"
    own = _mostly_there(hits, items)
    if own:
        shown += f" (most of its items stand here, so this may be its own data: {', '.join(own)})"
    lacking = f"; not compared: {', '.join(unchecked)}" if unchecked else ""
    return Check(
        name="overlap with measures",
        grade="fault" if len(found) > 0.001 * len(rows) else "note" if found else "clean",
        summary=f"{len(found)} rows share words with {len(items):,} items: {shown}{lacking}",
        why=WHY,
        action="remove",
        findings=found,
        numbers={**counts, "items": len(items)},
    )


def _mostly_there(hits: Mapping[int, tuple[int, str]], items: Sequence[EvaluationItem]) -> list[str]:
    """The measures of which at least half of the items stand in the file."""
    there = Counter(items[item].measure for item in {item for item, _ in hits.values()})
    whole = Counter(item.measure for item in items)
    return [name for name, count in there.most_common() if count >= OWN * whole[name] and count >= LEAST]


def _shared(texts: Tokens, items: Tokens, n: int, wanted: np.ndarray) -> list[tuple[int, int, int]]:  # type: ignore[type-arg]
    """(text, item, start) for texts that hold an n-gram of a wanted item; the first item of each n-gram, and where it
    begins in the texts' words."""
    hashes, owners = items.ngrams(n)
    kept = wanted[owners]
    hashes, owners = _distinctive(hashes[kept], owners[kept])
    if not len(hashes):
        return []
    table = np.zeros(1 << _BITS, dtype=bool)  # most n-grams are told apart without a search
    shift = np.uint64(64 - _BITS)
    table[hashes >> shift] = True
    found, where = texts.ngrams(n)
    maybe = table[found >> shift]
    found, where, starts = found[maybe], where[maybe], texts.starts(n)[maybe]
    place = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
    same = hashes[place] == found
    first: dict[int, tuple[int, int]] = {}
    for text, item, start in zip(where[same].tolist(), owners[place[same]].tolist(), starts[same].tolist()):
        first.setdefault(text, (item, start))
    return [(text, item, start) for text, (item, start) in first.items()]


def _distinctive(hashes: Hashes, owners: Ints) -> tuple[Hashes, Ints]:
    """Sorted distinct hashes with their first item, those of more than WORDING items left out."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    unique, start = np.unique(hashes, return_index=True)
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    items = np.add.reduceat(new.astype(np.int64), start) if len(start) else start
    kept = items <= WORDING
    return unique[kept], owners[start[kept]]
