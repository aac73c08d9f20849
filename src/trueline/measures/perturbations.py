"""Changes of a text that should not change its answer; the same key makes the same change."""

import re
from random import Random

LEAST_LETTERS = 4
_WORD = re.compile(r"[^\W\d_]+")


def with_typos(text: str, *, key: str, share: float = 0.2) -> str:
    """Two neighbouring inner letters exchanged in about ``share`` of the words of four letters or more.

    One word at least is changed where any has inner letters that differ. The first and last letter stay, as in
    slips that people read over.
    """
    rng = Random(f"typos:{key}")
    words = [m for m in _WORD.finditer(text) if len(m[0]) >= LEAST_LETTERS and len(set(m[0][1:-1])) > 1]
    chosen = [word for word in words if rng.random() < share] or (rng.sample(words, 1) if words else [])
    out = text
    for word in chosen:
        letters = list(word[0])
        places = [at for at in range(1, len(letters) - 2) if letters[at] != letters[at + 1]]
        at = rng.choice(places)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
        out = out[: word.start()] + "".join(letters) + out[word.end() :]
    return out


def other_order(count: int, *, key: str) -> list[int]:
    """A random order of ``count`` options in which none keeps its place (count ≥ 2): new place → old index."""
    rng = Random(f"order:{key}")
    while True:
        order = rng.sample(range(count), count)
        if all(place != index for place, index in enumerate(order)):
            return order
