"""The adaptive limit against simulated endpoints, in virtual time: minutes pass in moments, the same every
time.
"""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from virtual_time import simulate

from trueline.core.errors import InputError
from trueline.models.endpoints.concurrency import AdaptiveLimit
from trueline.models.endpoints.faults import backoff_s


@dataclass
class Endpoint:
    """Answers after about ``latency`` seconds and refuses at once what exceeds its limit."""

    latency: float = 0.05
    at_once: int | None = None
    per_second: float | None = None
    queue: int | None = None  # served in parallel; more than these slow each other

    busy: int = 0
    answered: int = 0
    refusals: int = 0
    credit: float = 10.0  # requests that may come together under ``per_second``
    credited: float = 0.0
    noise: random.Random = field(default_factory=lambda: random.Random(2))

    def _full(self) -> bool:
        if self.per_second is not None:
            now = asyncio.get_running_loop().time()
            self.credit = min(10.0, self.credit + (now - self.credited) * self.per_second)
            self.credited = now
            if self.credit < 1:
                return True
            self.credit -= 1
        return self.at_once is not None and self.busy >= self.at_once

    async def ask(self) -> bool:
        if self._full():
            self.refusals += 1
            await asyncio.sleep(0.001)
            return False
        self.busy += 1
        crowding = max(1.0, self.busy / self.queue) if self.queue else 1.0
        await asyncio.sleep(self.latency * crowding * self.noise.uniform(0.8, 1.2))
        self.busy -= 1
        self.answered += 1
        return True


async def request(limit: AdaptiveLimit, endpoint: Endpoint, jitter: random.Random, attempts: int = 7) -> bool:
    for attempt in range(1, attempts + 1):
        async with limit.slot() as slot:
            if await endpoint.ask():
                slot.succeeded()
                return True
            await slot.refused()
        await asyncio.sleep(backoff_s(0.5, attempt, jitter.random()))
    return False


@pytest.mark.parametrize(
    ("endpoint", "highest"),
    [
        (Endpoint(at_once=16), 16 / 0.05),
        (Endpoint(at_once=3), 3 / 0.05),
        (Endpoint(per_second=200), 200.0),
        (Endpoint(per_second=100), 100.0),
    ],
    ids=["16 at once", "3 at once", "200 a second", "100 a second"],
)
def test_the_limit_stays_near_the_endpoints_own_and_loses_nothing(endpoint: Endpoint, highest: float) -> None:
    limit = AdaptiveLimit(most=64)
    n = int(highest * 20)
    counts: list[int] = []

    async def main() -> None:
        jitter = random.Random(1)
        requests = asyncio.gather(*(request(limit, endpoint, jitter) for _ in range(n)))
        for until in (2, 18):
            await asyncio.sleep(until - asyncio.get_running_loop().time())
            counts.append(endpoint.answered)
        assert all(await requests)

    simulate(main)
    rate = (counts[1] - counts[0]) / 16
    assert 0.9 * highest <= rate, f"{rate:.0f} of {highest:.0f} a second"
    assert endpoint.answered == n and limit.in_flight == 0
    assert endpoint.refusals <= 0.08 * n


def test_without_refusals_the_limit_rises_to_the_most_and_no_further() -> None:
    limit = AdaptiveLimit(most=32)
    endpoint = Endpoint()

    async def main() -> None:
        await asyncio.gather(*(request(limit, endpoint, random.Random(1)) for _ in range(600)))

    simulate(main)
    assert limit.limit == 32 and limit.peak == 32 and limit.cuts == 0


def test_an_idle_limit_does_not_rise() -> None:
    limit = AdaptiveLimit(most=32, start=4)

    async def main() -> None:
        for _ in range(50):
            await request(limit, Endpoint(), random.Random(1))

    simulate(main)
    assert limit.limit == 4 and limit.peak == 1


def test_slow_answers_lower_the_limit_to_the_target_latency() -> None:
    # Eight are served at 50 ms; with more the latency grows in proportion, so 100 ms are reached at sixteen.
    limit = AdaptiveLimit(most=64, target_latency_s=0.1)
    endpoint = Endpoint(queue=8)

    async def main() -> None:
        await asyncio.gather(*(request(limit, endpoint, random.Random(1)) for _ in range(3000)))

    simulate(main)
    assert 8 <= limit.limit <= 18 and limit.latency_s < 0.12


def test_one_round_trip_of_refusals_cuts_once() -> None:
    limit = AdaptiveLimit(most=64, start=16)

    async def main() -> None:
        async def refused_request() -> None:
            async with limit.slot() as slot:
                await asyncio.sleep(0.05)
                await slot.refused()

        await asyncio.gather(*(refused_request() for _ in range(16)))

    simulate(main)
    assert limit.cuts == 1 and limit.limit == 8


def test_time_outs_halve_and_refusals_take_a_tenth() -> None:
    limit = AdaptiveLimit(most=64, start=32)

    async def main() -> None:
        async def end(how: str) -> None:
            await asyncio.sleep(1)
            async with limit.slot() as slot:
                await asyncio.sleep(1)
                if how == "refused":
                    await slot.refused()
                else:
                    slot.timed_out()

        await end("refused")
        assert (
            limit.limit == 16
        )  # the first cut ends the fast growth: back to half, which was known to be fine
        await end("refused")
        assert limit.limit == pytest.approx(14.4)
        await end("timed out")
        assert limit.limit == pytest.approx(7.2)
        for _ in range(20):
            await end("timed out")
        assert limit.limit == 1

    simulate(main)


def test_a_pause_that_the_server_asks_for_holds_everyone() -> None:
    limit = AdaptiveLimit(most=8, start=8)
    starts: list[float] = []

    async def main() -> None:
        async def first() -> None:
            async with limit.slot() as slot:
                await slot.refused(wait_s=20)

        async def other() -> None:
            async with limit.slot():
                starts.append(asyncio.get_running_loop().time())

        await first()
        await asyncio.gather(*(other() for _ in range(10)))

    simulate(main)
    assert len(starts) == 10 and min(starts) >= 20


def test_cancelled_waiters_leave_no_trace() -> None:
    limit = AdaptiveLimit(most=2, start=2)

    async def main() -> None:
        async def hold(seconds: float) -> None:
            async with limit.slot():
                await asyncio.sleep(seconds)

        tasks = [asyncio.ensure_future(hold(1.0)) for _ in range(20)]
        await asyncio.sleep(0.5)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limit.in_flight == 0
        # A place handed over in the very step in which its new owner is cancelled goes to the next in line.
        first, second, third = (asyncio.ensure_future(hold(s)) for s in (1.0, 1.0, 1.0))
        await asyncio.sleep(0.1)
        fourth, fifth = (asyncio.ensure_future(hold(0.1)) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        second.cancel()
        third.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(fourth, fifth), 5)

    simulate(main)
    assert limit.in_flight == 0 and limit.peak == 2


def test_the_limit_outlives_event_loops() -> None:
    limit = AdaptiveLimit(most=2, start=2)

    async def abandoned() -> None:
        async def hold() -> None:
            async with limit.slot():
                await asyncio.sleep(60)

        tasks = [asyncio.ensure_future(hold()) for _ in range(5)]
        await asyncio.sleep(0)
        assert limit.in_flight == 2 and len(tasks) == 5

    for _ in range(3):
        asyncio.run(abandoned())
        assert limit.in_flight == 0


@pytest.mark.parametrize(("most", "start"), [(0, 1), (4, 0), (4, 5)])
def test_bad_limits(most: int, start: int) -> None:
    with pytest.raises(InputError, match="1 <= start <= most"):
        AdaptiveLimit(most=most, start=start)
