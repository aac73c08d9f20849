"""How many requests may be under way at an endpoint whose limit nobody states.

Additive increase, multiplicative decrease (Chiu and Jain 1989), as in TCP: the limit doubles once a round
trip until the first refusal, is then halved, and from there grows by one request a round trip and shrinks
by a tenth at a refusal (a half at a time-out, which costs far more than a refusal).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trueline.core.errors import InputError

REFUSED_FACTOR = 0.9
TIMED_OUT_FACTOR = 0.5
PROBING = 0.2  # growth in requests a round trip around the last refused limit; elsewhere it is 1
_SMOOTHING = 0.2  # weight of the newest latency in the running mean


class Slot:
    """One request under way; say how it ended before leaving it. Saying nothing changes no limit."""

    def __init__(self, limit: "AdaptiveLimit", started: float) -> None:
        self._limit = limit
        self.started = started  # seconds on the event loop's clock

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._limit._success(self.started)

    async def refused(self, *, wait_s: float = 0.0) -> None:
        """The endpoint refused for load (429, 5xx, lost connection); ``wait_s`` is how long it asks all to
        wait.

        Returns only after one usual latency since the start: otherwise refusals, which come back fast,
        would turn a limit on requests under way into a flood.
        """
        self._limit._cut(self.started, REFUSED_FACTOR, wait_s)
        await asyncio.sleep(max(0.0, self._limit.latency_s - (_now() - self.started)))

    def timed_out(self) -> None:
        """The endpoint did not answer in time."""
        self._limit._cut(self.started, TIMED_OUT_FACTOR, 0.0)


class AdaptiveLimit:
    """A limit on requests under way that finds the endpoint's own.

    ``most`` is the highest limit ever used, ``start`` the first. Answers slower than ``target_latency_s``
    count as refusals, so that a queue inside the server does not grow into time-outs. Only numbers outlive
    an event loop: the same limit serves several ``asyncio.run`` calls, one after another (not several
    threads).
    """

    def __init__(self, *, most: int = 64, start: int = 4, target_latency_s: float | None = None) -> None:
        if most < 1 or not 1 <= start <= most:
            raise InputError(
                f"concurrency start {start} and most {most} are not usable; allowed is 1 <= start <= most."
            )
        self.limit = float(start)
        self.most = most
        self.target_latency_s = target_latency_s
        self.latency_s = 0.0  # running mean of successes
        self.in_flight = 0
        self.peak = 0
        self.cuts = 0
        self._fast_growth = True
        self._refused_at = 0  # the limit at the last refusal
        self._last_cut = float("-inf")
        self._not_before = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """A place among the requests under way; waits for one, and for any pause that the endpoint asked
        for.
        """
        await self._acquire()
        try:
            while (pause := self._not_before - _now()) > 0:
                await asyncio.sleep(pause)
            yield Slot(self, _now())
        finally:
            self._leave()

    async def _acquire(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()  # cancelled while waiting
        if not self._waiting and self.in_flight < int(self.limit):
            self._enter()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place  # _wake counts this request when it hands the place over
        except asyncio.CancelledError:
            if not place.cancelled():  # handed over just before the cancellation: the next in line gets it
                self._leave()
            raise

    def _enter(self) -> None:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def _leave(self) -> None:
        self.in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self._enter()
                place.set_result(None)

    def _success(self, started: float) -> None:
        latency = _now() - started
        self.latency_s = (
            latency if not self.latency_s else ((1 - _SMOOTHING) * self.latency_s + _SMOOTHING * latency)
        )
        if self.target_latency_s is not None and latency > self.target_latency_s:
            self._cut(started, REFUSED_FACTOR, 0.0)
        elif self.in_flight >= int(self.limit):  # an idle limit has not been tried, so it is not raised
            self.limit = min(float(self.most), self.limit + self._growth())
            self._wake()

    def _growth(self) -> float:
        """What one success adds. A round trip brings about ``limit`` of them."""
        if self._fast_growth:
            return 1.0
        near = self._refused_at - 1 <= self.limit <= self._refused_at + 1
        return (PROBING if near else 1.0) / self.limit

    def _cut(self, started: float, factor: float, wait_s: float) -> None:
        now = _now()
        self._not_before = max(self._not_before, now + wait_s)
        # Requests sent before the last cut, or within one round trip of it, say nothing about the new limit.
        if started <= self._last_cut or now - self._last_cut < self.latency_s:
            return
        self._refused_at = int(self.limit)
        self.limit = max(
            1.0, min(self.limit * (0.5 if self._fast_growth else factor), self._refused_at - 1.0)
        )
        self._fast_growth = False
        self._last_cut = now
        self.cuts += 1


def _now() -> float:
    return asyncio.get_running_loop().time()
