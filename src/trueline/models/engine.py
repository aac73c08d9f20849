"""The engine of local models: ordinary ``async`` code asks, one request at a time, and batches run.

Requests gather while the event loop has other things to do. Once nothing new arrives for a few turns of the
loop (or a batch is full), those that wait are grouped by module, kind and interventions, sorted by length,
and run in the module's only worker thread. Each answer is handed over as soon as it is there; a request that
arrives while its group's batch runs joins it. An error goes to the requests of its batch, and to no others.

Models that do not fit the memory budget together take turns (``residency``): a request to an absent one is
parked, and when the present ones have run what they had, the longest queue is loaded. A queue that was passed
over ``PATIENCE`` times goes first.

One engine serves any number of event loops, one after another or at once.
"""

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache, partial
from typing import Any
from weakref import WeakSet

from trueline.core.errors import TruelineError

from .requests import Lane, Request, prepared
from .residency import Residency
from .running import run_batch
from .sampling.jobs import Limits
from .usage import Usage

VERSION = "local-1"  # in fingerprints: change it when answers may change
QUIET_TURNS = 3
FULL = 4096
PATIENCE = 16


class Engine:
    """Batches requests to local models. ``budget_bytes`` bounds the weights in memory (None: no bound)."""

    def __init__(
        self, *, budget_bytes: int | None = None, limits: Limits | None = None, token_budget: int = 8192
    ) -> None:
        self.limits = limits or Limits()
        self.token_budget = token_budget
        self.residency = Residency(budget_bytes)
        self._lock = threading.RLock()
        self._lanes: dict[str, Lane] = {}
        self._incoming: list[Request] = []
        self._arrivals = 0
        self._settling: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._usage: dict[str, Usage] = {}

    @property
    def usage(self) -> Usage:
        """All that was spent so far."""
        with self._lock:
            return sum(self._usage.values(), Usage())

    @property
    def usage_by_model(self) -> Mapping[str, Usage]:
        """What was spent on each module, by its source's key."""
        with self._lock:
            return dict(self._usage)

    async def submit(self, request: Request) -> Any:
        """The request's result, once its batch has run; cancelling the wait abandons the request."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._incoming.append(request)
            self._arrivals += 1
            if loop not in self._settling:
                self._settling.add(loop)
                loop.call_soon(self._settle, loop, self._arrivals, 0)
        return await asyncio.wrap_future(request.future)

    def submit_now(self, request: Request) -> Future[Any]:
        """Run a request without waiting for company; for callers outside an event loop."""
        with self._lock:
            self._incoming.append(request)
            self._release()
        return request.future

    def _settle(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int) -> None:
        with self._lock:
            quiet = quiet + 1 if self._arrivals == seen else 0
            if quiet < QUIET_TURNS and len(self._incoming) < FULL:
                loop.call_soon(self._settle, loop, self._arrivals, quiet)
                return
            self._settling.discard(loop)
            self._release()

    def _release(self) -> None:
        """Put what came in into the queues."""
        for request in self._incoming:
            key = request.source.key
            if key not in self._lanes:
                self._lanes[key] = Lane(request.source)
            self._lanes[key].waiting.append(request)
        self._incoming.clear()
        self._dispatch()

    def _dispatch(self) -> None:
        """Start what can start. Called with the lock held, whenever work arrives or ends."""
        for lane in list(self._lanes.values()):
            lane.forget_abandoned()
        idle = [lane for lane in self._lanes.values() if lane.waiting and not lane.busy]
        parked = [lane for lane in idle if not self._present(lane)]
        for lane in sorted(parked, key=lambda lane: (lane.passed < PATIENCE, -len(lane.waiting))):
            self._make_room(lane)
        for lane in idle:
            if lane.waiting and self._present(lane):
                self._start(lane)
        for key, lane in list(self._lanes.items()):
            if not lane.waiting and not lane.busy and key not in self.residency:
                lane.worker.shutdown(wait=False)
                del self._lanes[key]

    def _present(self, lane: Lane) -> bool:
        return lane.source.kept is not None or lane.source.key in self.residency

    def _make_room(self, lane: Lane) -> None:
        """Reserve memory for a parked lane's model, unless models that are at work or busier would have to
        go.
        """
        keep = {
            other.source.key
            for other in self._lanes.values()
            if other.busy or (len(other.waiting) >= max(1, len(lane.waiting)) and lane.passed < PATIENCE)
        }
        try:
            if self.residency.reserve(lane.source.key, lane.source.weight_bytes, keep=keep) is None:
                return
        except TruelineError as error:
            for request in lane.waiting:
                request.fail(error)
            lane.waiting.clear()

    def _start(self, lane: Lane) -> None:
        batch = lane.next_batch()
        lane.busy, lane.passed = True, 0
        for other in self._lanes.values():
            if other.waiting and not other.busy and not self._present(other):
                other.passed += 1
        running = lane.worker.submit(self._run, lane, batch)
        running.add_done_callback(partial(self._ended, lane, batch))

    def _run(self, lane: Lane, batch: list[Request]) -> None:
        """In the worker thread: load if need be, and run."""
        source, last = lane.source, time.perf_counter()

        def spend(usage: Usage) -> None:
            nonlocal last
            now = time.perf_counter()
            with self._lock:
                before = self._usage.get(source.key, Usage())
                self._usage[source.key] = before + usage + Usage(seconds=now - last)
            last = now

        spend(Usage(batches=1))
        model = source.kept or self.residency.get(source.key)
        if model is None:
            model = source.load()
            with self._lock:
                self.residency.fill(source.key, model, _bytes(model))
            spend(Usage(loads=1))
        with prepared(model, ()):
            joining = partial(self._joining, lane, batch)
            final = run_batch(model, batch, self.limits, self.token_budget, joining, spend)
        for request, value in final:
            request.answer(value)

    def _joining(self, lane: Lane, batch: list[Request]) -> list[Request]:
        """Requests that came in while their group's batch runs, added to it; none while others wait their
        turn.
        """
        with self._lock:
            if any(other.waiting and not self._present(other) for other in self._lanes.values()):
                return []
            lane.forget_abandoned()
            if any(request.group != batch[0].group for request in lane.waiting):
                return []
            joining, lane.waiting = sorted(lane.waiting, key=lambda request: request.length), []
            batch.extend(joining)
            return joining

    def _ended(self, lane: Lane, batch: list[Request], running: Future[None]) -> None:
        error = running.exception()
        with self._lock:
            lane.busy = False
            if error is not None:
                if self.residency.get(lane.source.key) is None:
                    self.residency.release(lane.source.key)
                for request in batch:
                    request.fail(error)
            self._dispatch()


def _bytes(model: Any) -> int:
    return sum(int(tensor.nbytes) for tensor in (*model.parameters(), *model.buffers()))


@cache
def default_engine() -> Engine:
    """The engine of targets that name none: half of this machine's memory for weights."""
    return Engine(budget_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
