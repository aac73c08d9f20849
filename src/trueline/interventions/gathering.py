"""Requests that arrive together, answered together: for work that gains from company and is no single module's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
R = TypeVar("R")
QUIET_TURNS = 3  # turns of the event loop without a new request


class Gatherer(Generic[T, R]):
    """``answer`` is given all the requests that came in, and returns their results in that order."""

    def __init__(self, answer: Callable[[Sequence[T]], Awaitable[list[R]]]) -> None:
        self._answer = answer
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[T, asyncio.Future[R]]]]
        self._waiting = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, request: T) -> R:
        """The request's result; an error goes to all that were answered with it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if loop not in self._waiting:
            self._waiting[loop] = []
            task = loop.create_task(self._collect(loop))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._waiting[loop].append((request, future))
        return await future

    async def _collect(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, seen = self._waiting[loop], -1
        while len(waiting) != seen:
            seen = len(waiting)
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
        del self._waiting[loop]
        (found,) = await asyncio.gather(
            self._answer([request for request, _ in waiting]), return_exceptions=True
        )
        for place, (_, future) in enumerate(waiting):
            if future.done():
                continue  # nobody waits for it any more
            if isinstance(found, BaseException):
                future.set_exception(found)
            else:
                future.set_result(found[place])
