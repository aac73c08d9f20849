"""Which models are in memory: as many as a byte budget holds, the longest unused making room first.

Only weights are counted, as their files declare them before loading and as they are afterwards; caches and
activations come on top, so a budget leaves room for them. Models that a caller made and holds himself are
neither counted nor ever dropped. Not thread-safe: the engine asks under its own lock, and loads outside it.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection
from typing import Any

from trueline.core.errors import InputError


class Residency:
    """A bounded set of loaded models by key, least recently used first."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        if budget_bytes is not None and budget_bytes <= 0:
            raise InputError(
                f"a memory budget of {budget_bytes} bytes holds no model; give a positive number."
            )
        self.budget_bytes = budget_bytes
        self.loads: Counter[str] = Counter()
        self.evictions: Counter[str] = Counter()
        self._held: OrderedDict[str, tuple[int, Any]] = (
            OrderedDict()
        )  # bytes, and the model once it is loaded

    @property
    def used_bytes(self) -> int:
        """Bytes of weights held or being loaded."""
        return sum(size for size, _ in self._held.values())

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def get(self, key: str) -> Any | None:
        """The model, or None where it is absent or still loading; it counts as used now."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][1]

    def reserve(self, key: str, size: int, *, keep: Collection[str]) -> tuple[str, ...] | None:
        """Make room for a model about to be loaded; returns the keys that were dropped for it.

        None when that would take one of ``keep``; nothing is dropped then.

        Raises:
            InputError: it is larger than the whole budget.
        """
        if self.budget_bytes is None:
            self._held[key] = (size, None)
            return ()
        if size > self.budget_bytes:
            raise InputError(
                f"a model of {size:,} bytes does not fit the memory budget of {self.budget_bytes:,}; "
                "raise the budget, or load it in a smaller dtype or quantised."
            )
        free = self.budget_bytes - self.used_bytes
        dropped: list[str] = []
        for other, (bytes_held, model) in self._held.items():
            if free >= size:
                break
            if model is not None and other not in keep:
                dropped.append(other)
                free += bytes_held
        if free < size:
            return None
        for other in dropped:
            del self._held[other]
            self.evictions[other] += 1
        self._held[key] = (size, None)
        return tuple(dropped)

    def fill(self, key: str, model: Any, size: int) -> None:
        """The reserved model is there, with the bytes that it really takes."""
        self._held[key] = (size, model)
        self.loads[key] += 1

    def release(self, key: str) -> None:
        """The reserved model could not be loaded, or is not wanted any more."""
        self._held.pop(key, None)
