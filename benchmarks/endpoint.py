"""An endpoint with 50 ms latency and a limit, in real time over loopback: how much of the limit is used.

    python benchmarks/endpoint.py [--per-second 100] [--at-once 4] [--requests 1000]

The server runs in a process of its own and counts by itself. Printed: answers a second after the first two
seconds against the limit, refusals, failures, the CPU time that a request costs here, and by how much the client's
event loop comes late to a sleep of 10 ms (median): on an idle machine by less than a millisecond. Where it comes late
by more than a few, the machine and not the client is measured; the same in virtual time, where a loaded machine plays
no part, is ``tests/models/test_endpoint_rate.py``.
"""

import argparse
import asyncio
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "models"))

import openai  # noqa: F401 - loaded now, so that its second and a half of CPU count for no request
from rate_limited_server import RateLimitedServer

from trueline.core.messages import Sampling, chat
from trueline.models.endpoints.endpoint import EndpointTarget

SETTLED = 2.0
NAP = 0.01


def serve(pipe: Connection, per_second: float | None, at_once: int | None) -> None:
    """Serve until told to end; then say what was counted."""

    async def main() -> None:
        server = RateLimitedServer(per_second=per_second, at_once=at_once)
        pipe.send(await server.start())
        while not pipe.poll():
            await asyncio.sleep(0.01)
        first, last = server.times[0] + SETTLED, server.times[-1] - 0.5
        pipe.send((server.rate(first, last), server.answered, server.refused))
        await asyncio.sleep(0.1)  # connections that the client closed end by themselves
        server.close()

    asyncio.run(main())


async def lateness(found: list[float]) -> None:
    """Seconds by which the event loop comes late, again and again."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(NAP)
        found.append(time.perf_counter() - started - NAP)


def run(limit: str, highest: float, requests: int, **options: float) -> None:
    """One limit: ask everything, and print the server's count."""
    here, there = multiprocessing.Pipe()
    given = {"per_second": None, "at_once": None, **options}
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), kwargs=given)
    process.start()
    target = EndpointTarget.from_spec(f"openai:tiny@{here.recv()}")

    late: list[float] = []

    async def ask() -> None:
        watching = asyncio.create_task(lateness(late))
        asked = (target.generate(chat(f"Question {n}?"), Sampling(max_tokens=4)) for n in range(requests))
        await asyncio.gather(*asked)
        watching.cancel()
        await target.close()

    cpu = time.process_time()
    asyncio.run(ask())
    cpu = time.process_time() - cpu
    here.send("end")
    rate, answered, refused = here.recv()
    process.join()
    print(
        f"{limit}: {rate:.0f} answers a second of {highest:.0f} ({rate / highest:.0%}); {answered} answered, {refused}"
        f" refused and asked again, {target.usage.failures} failures; {1e3 * cpu / requests:.1f} ms CPU a request,"
        f" {1e3 * median(late):.1f} ms late"
    )


def main() -> None:
    """Parse options and run both kinds of limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    run(
        f"{options.per_second:.0f} a second",
        options.per_second,
        options.requests,
        per_second=options.per_second,
    )
    run(f"{options.at_once} at once", options.at_once / 0.05, options.requests, at_once=options.at_once)


if __name__ == "__main__":
    main()
