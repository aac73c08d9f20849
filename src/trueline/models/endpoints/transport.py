"""Requests to one endpoint: the client, the adaptive limit, attempts and deadlines, and who answered."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from trueline.core.errors import InputError

from .answers import token_counts
from .concurrency import AdaptiveLimit
from .config import EndpointConfig
from .faults import FaultError, FilteredError, backoff_s, parse_body, translate

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Route = Literal["chat", "completions"]
PATHS: Mapping[Route, str] = {"chat": "/chat/completions", "completions": "/completions"}
T = TypeVar("T")

# After so many requests in a row without an answer, each further one gets a single attempt until one
# succeeds: a server that is down must not cost every item of a study its full round of waits.
_DOWN_AFTER = 3


@dataclass(slots=True, kw_only=True)
class Usage:
    """What an endpoint has been asked for so far. ``requests`` counts every attempt sent, ``retries`` those
    after the first, ``failures`` the requests that ended without an answer, ``uncounted`` answers without
    token counts.
    """

    requests: int = 0
    retries: int = 0
    failures: int = 0
    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0


class Transport:
    """Sends request bodies and reads answers, each with its retries and its deadline."""

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.usage = Usage()
        self.reported_model: str | None = None
        self.system_fingerprints: Counter[str] = Counter()
        # Half the time-out: the limit must shrink before queues in the server become time-outs.
        self.limit = AdaptiveLimit(
            most=config.concurrency, start=min(4, config.concurrency), target_latency_s=config.timeout_s / 2
        )
        self._unanswered = 0
        self._clients: dict[asyncio.AbstractEventLoop, tuple[AsyncGenerator[AsyncOpenAI], AsyncOpenAI]] = {}

    async def request(self, route: Route, body: Mapping[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        """What ``read`` makes of the answer; it raises FaultError for an answer that is not whole.

        Raises UnfinishedError when no attempt is left or the deadline has passed, InputError for what another
        attempt cannot change, FilteredError when the provider's filter rejected the prompt.
        """
        fault: FaultError | None = None
        attempts, deadline = 0, float("inf")
        allowed = 1 + (self.config.retries if self._unanswered < _DOWN_AFTER else 0)
        while True:
            async with self.limit.slot() as slot:
                if fault is None:  # waiting for a first place is the queue's time, not the request's
                    deadline = slot.started + self.config.deadline_s
                elif slot.started >= deadline:
                    self._give_up(fault, attempts)
                attempts += 1
                try:
                    payload = await self._attempt(route, body, deadline - slot.started)
                    answer = read(payload)
                    slot.succeeded()
                    self._unanswered = 0
                    self.usage.answers += 1
                    return answer
                except FilteredError:
                    self.usage.answers += 1
                    raise
                except InputError:
                    self.usage.failures += 1
                    raise
                except FaultError as error:
                    fault = error
                # A pause longer than a request may last would only hide the fault from all the others.
                pause = fault.wait_s if fault.wait_s < self.config.deadline_s else 0.0
                if fault.kind == "refused":
                    await slot.refused(wait_s=pause)
                elif fault.kind == "timed out":
                    slot.timed_out()
            wait = max(fault.wait_s, backoff_s(self.config.backoff_s, attempts, random.random()))
            now = asyncio.get_running_loop().time()
            if fault.cure or attempts >= allowed or now + wait >= deadline:
                self._give_up(fault, attempts)
            self.usage.retries += 1
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close the running event loop's connections; they are closed anyway when ``asyncio.run`` ends."""
        held = self._clients.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held[0].aclose()

    def _give_up(self, fault: FaultError, attempts: int) -> NoReturn:
        self.usage.failures += 1
        self._unanswered += fault.kind != "garbled"
        raise fault.unfinished(self.config, attempts) from fault

    async def _attempt(self, route: Route, body: Mapping[str, Any], left_s: float) -> dict[str, Any]:
        from httpx import Response
        from openai import OpenAIError

        client = await self._client()
        extra = {**self.config.extra, **body.get("extra_body", {})}
        fields = {name: value for name, value in body.items() if name != "extra_body"}
        whole = {"model": self.config.model, **fields, **extra}
        seconds = min(self.config.timeout_s, left_s)
        self.usage.requests += 1
        try:
            # The client's own time-outs are per read: a server that drips bytes would never reach them.
            async with asyncio.timeout(seconds):
                # ``create`` would check and rewrite each field by its type first: a quarter of a request's time.
                answer = await client.post(PATHS[route], cast_to=Response, body=whole)
        except TimeoutError as error:
            raise FaultError(f"no whole answer within {seconds:.3g} s", kind="timed out") from error
        except OpenAIError as error:
            raise translate(error, self.config) from error
        payload = parse_body(answer.content)
        self._count(payload)
        self._identify(payload)
        return payload

    def _identify(self, payload: Mapping[str, Any]) -> None:
        """Raise InputError when another model answered, or another version than so far."""
        if not payload.get("choices"):
            return  # no answer at all, which `read` reports
        said = payload.get("model")
        reported = said if isinstance(said, str) else ""
        if not self.config.same_model(reported):
            raise InputError(
                f"{self.config.url} was asked for {self.config.model!r} but answered as {reported!r}; "
                "nothing was scored: correct the name, or list the other in aliases if it is the same model."
            )
        if self.reported_model not in (None, reported):
            raise InputError(
                f"{self.config.url} answered as {self.reported_model!r} and then as {reported!r}: "
                f"the model behind {self.config.model!r} was changed; "
                "ask for a dated name, or start again under a new epoch."
            )
        self.reported_model = reported
        system = payload.get("system_fingerprint")
        if isinstance(system, str) and system:
            self.system_fingerprints[system] += 1

    def _count(self, payload: Mapping[str, Any]) -> None:
        # Tokens are paid for whether or not the answer can be used.
        counts = token_counts(payload)
        if counts is not None:
            self.usage.prompt_tokens += counts[0]
            self.usage.completion_tokens += counts[1]
        elif payload.get("choices"):
            self.usage.uncounted += 1

    async def _client(self) -> "AsyncOpenAI":
        # Connections belong to one event loop. An asynchronous generator holds each loop's client, because
        # asyncio.run closes the generators that are left and so closes the connections before the loop.
        loop = asyncio.get_running_loop()
        for old in [held for held in self._clients if held.is_closed()]:
            del self._clients[old]
        if loop not in self._clients:
            lifetime = _client_lifetime(self.config)
            self._clients[loop] = (lifetime, await anext(lifetime))
        return self._clients[loop][1]


async def _client_lifetime(config: EndpointConfig) -> AsyncGenerator["AsyncOpenAI"]:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    client = AsyncOpenAI(
        api_key=config.api_key(),
        base_url=config.url,
        timeout=config.timeout_s,
        max_retries=0,  # attempts are counted and spaced here, where the adaptive limit sees them
        http_client=DefaultAsyncHttpxClient(trust_env=False)
        if config.is_local
        else None,  # no proxy to oneself
    )
    try:
        yield client
    finally:
        await client.close()
