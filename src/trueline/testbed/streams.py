"""Random streams that give the same numbers on every machine and Python version."""

import hashlib
import json
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Stream:
    """A stream of random choices named by its key; streams of different keys are independent.

    Only ``random.Random.random`` is used, the one method whose sequence Python promises to keep.
    """

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256(json.dumps(key).encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big")).random

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._random()

    def index(self, n: int) -> int:
        """A whole number in [0, n)."""
        return int(self._random() * n)

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self._random() < p

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.index(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """The values in random order (Fisher–Yates)."""
        out = list(values)
        for last in range(len(out) - 1, 0, -1):
            other = self.index(last + 1)
            out[last], out[other] = out[other], out[last]
        return out

    def sample(self, values: Sequence[T], k: int) -> list[T]:
        """k different values in random order."""
        return self.shuffled(values)[:k]

    def other(self, values: Sequence[T], *but: T) -> T:
        """One of the values that is none of ``but``."""
        return self.pick([value for value in values if value not in but])


def share(values: Sequence[T], dose: float, *key: str | int) -> tuple[T, ...]:
    """The round(dose · n) values that a dose takes. A higher dose under the same key takes a superset."""
    order = Stream(*key).shuffled(range(len(values)))
    taken = set(order[: round(dose * len(values))])
    return tuple(value for position, value in enumerate(values) if position in taken)
