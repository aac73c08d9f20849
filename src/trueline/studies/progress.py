"""How long work reports itself; the command line draws bars, tests stay silent."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of long work."""

    def update(self, done: int, total: int, words: str = "") -> None: ...


class Progress(Protocol):
    """Opens bars and says lines."""

    def bar(self, label: str, total: int) -> AbstractContextManager[Bar]: ...

    def say(self, line: str) -> None: ...


class Silent:
    """No output."""

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator["Silent"]:
        yield self

    def update(self, done: int, total: int, words: str = "") -> None:
        return None

    def say(self, line: str) -> None:
        return None
