"""An endpoint with 50 ms latency and a limit is kept at 90 % of it without failures: real requests over loopback.

Client and server share an event loop in virtual time, so that neither a slow nor a loaded machine plays a part;
what counts is the server's own count.
"""

import asyncio
import random
from typing import Any

import pytest
from rate_limited_server import RateLimitedServer
from virtual_time import simulate

from trueline.core.messages import Sampling, chat
from trueline.models.endpoints.endpoint import EndpointTarget

SECONDS, SETTLED = 6, 2  # of virtual time; the limit is looked for in the first ones


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks up its platform in a thread, whose time is not the loop's; waits are jittered."""

    async def inline(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    monkeypatch.setattr(asyncio, "to_thread", inline)
    random.seed(1)


@pytest.mark.parametrize(
    ("server", "highest"),
    [
        (RateLimitedServer(per_second=60), 60.0),
        (RateLimitedServer(at_once=3), 3 / 0.05),
    ],
    ids=["60 a second", "3 at once"],
)
def test_a_limit_is_kept_and_nothing_is_lost(server: RateLimitedServer, highest: float) -> None:
    n = int(highest * SECONDS)
    usage: list[Any] = []

    async def main() -> None:
        target = EndpointTarget.from_spec(f"openai:tiny@{await server.start()}")
        asked = (target.generate(chat(f"Question {number}?"), Sampling(max_tokens=4)) for number in range(n))
        answers = await asyncio.gather(*asked)
        assert [completion.text for (completion,) in answers] == ["yes"] * n
        usage.append(target.usage)
        await target.close()
        await asyncio.sleep(0.1)  # the server sees that its connections have ended
        server.close()

    simulate(main)
    rate = server.rate(SETTLED, SECONDS - 1)
    assert rate >= 0.9 * highest, f"{rate:.1f} of {highest:.0f} a second"
    assert server.answered == n
    assert (
        usage[0].failures == 0 and usage[0].retries == server.refused <= 0.25 * n
    )  # most while the limit is looked for
