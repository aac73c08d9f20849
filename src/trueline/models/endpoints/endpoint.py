"""Any OpenAI-compatible server as a target, through the official client."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict
from time import monotonic
from typing import Any, TypeVar

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score, as_json, user
from trueline.core.protocols import Capability

from .answers import filtered, read_chat, read_text
from .concurrency import AdaptiveLimit
from .config import EndpointConfig, parse_spec
from .faults import FaultError, FilteredError
from .scoring import Echo, branch_scores, read_echo, render, spells
from .transport import Route, Transport, Usage

T = TypeVar("T")

_PROBE_TEXT = "The cat sat on the mat."


class EndpointTarget:
    """Answers through ``/chat/completions`` (and, where the user enables it, ``/completions``).

    Every sample is its own request with its own seed. A request is retried with growing, jittered waits;
    one without an answer raises UnfinishedError (no verdict, resumable); a wrong key, address or model, and
    an answer under another model's name, raise InputError. ``await probe()`` once before planning: it
    learns the reported model, and whether log-probabilities are given; until then neither SCORE nor
    ``Completion.logprobs`` is offered and the fingerprint lacks what the server reports. Log-probabilities
    are the server's own, which may or may not include the temperature. Whether a server honours the seed is
    its affair.
    """

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self._transport = Transport(config)
        self._probed: tuple[str, str] | None = None  # (reported model, system fingerprint)
        self._probe_s: float | None = None
        self._gives_logprobs = False
        self._echoes = False

    @classmethod
    def from_spec(cls, spec: str, **options: Any) -> "EndpointTarget":
        """The target of ``openai:NAME@BASE_URL``; options are those of EndpointConfig."""
        model, url = parse_spec(spec)
        return cls(EndpointConfig(model=model, base_url=url, **options))

    @property
    def name(self) -> str:
        """The model's name as the user wrote it."""
        return self.config.model

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._transport.usage

    @property
    def limit(self) -> AdaptiveLimit:
        """The adaptive limit on requests under way."""
        return self._transport.limit

    @property
    def capabilities(self) -> frozenset[Capability]:
        """GENERATE, what the user stated (raw text, prefill), and what a probe has shown (score)."""
        found = {Capability.GENERATE}
        if self.config.completions:
            found.add(Capability.RAW_TEXT)
        if self.config.prefill is not None:
            found.add(Capability.PREFILL)
        if self._echoes:
            found.add(Capability.SCORE)
        return frozenset(found)

    def fingerprint(self) -> str:
        """A digest of address, names, what the probe found, request fields and the study's epoch."""
        reported, system = self._probed or (None, None)
        return fingerprint(
            {
                "kind": "endpoint",
                "url": self.config.url,
                "model": self.config.model,
                "reported model": reported,
                "system fingerprint": system,
                "epoch": self.config.epoch,
                "extra": self.config.extra,
                "omit": sorted(self.config.omit),
                "prefill": self.config.prefill,
                "template": self.config.template,
            }
        )

    def describe(self) -> Mapping[str, Any]:
        """Provenance for the report; a server's weights, template and own system prompt are not known."""
        return {
            "kind": "endpoint",
            "name": self.config.model,
            "url": self.config.url,
            "reported model": self._transport.reported_model,
            "system fingerprints": dict(self._transport.system_fingerprints),
            "epoch": self.config.epoch,
            "extra": dict(self.config.extra),
            "omit": list(self.config.omit),
            "capabilities": sorted(self.capabilities),
            "log-probabilities": self._gives_logprobs,
            "usage": asdict(self.usage),
            "cost in USD": self.cost(),
            "concurrency": self.config.concurrency,
            "highest concurrency": self.limit.peak,
            "probe seconds": self._probe_s,
            "tariff": asdict(self.config.tariff) if self.config.tariff is not None else None,
        }

    def cost(self) -> float | None:
        """US dollars so far; None without a tariff, or when an answer came without token counts."""
        if self.config.tariff is None or self.usage.uncounted:
            return None
        return self.config.tariff.cost(self.usage.prompt_tokens, self.usage.completion_tokens)

    async def probe(self) -> None:
        """Learn what the server can do, by one to three short requests; raises as ``generate`` does."""
        sampling = Sampling(max_tokens=16)
        body = {"messages": as_json((user("Say yes."),)), **self._sampling_fields("", sampling, 0, "chat")}
        started = monotonic()
        try:
            answer = await self._transport.request(
                "chat", body | {"logprobs": True}, lambda payload: read_chat(payload, sampling)
            )
            self._gives_logprobs = bool(answer.logprobs)
        except InputError:
            # Some servers reject the field rather than ignore it; any other cause shows itself here again.
            await self._transport.request("chat", body, lambda payload: read_chat(payload, sampling))
            self._gives_logprobs = False
        self._probe_s = monotonic() - started
        if self.config.completions:
            self._echoes = await self._probe_echo()
        systems = self._transport.system_fingerprints.most_common(1)
        self._probed = (self._transport.reported_model or "", systems[0][0] if systems else "")

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """``sampling.samples`` completions; raises NotMeasurableError where the server cannot take it."""
        route, body = self._prompt_fields(prompt)
        read = read_chat if route == "chat" else read_text
        if self._gives_logprobs:
            body = body | {"logprobs": True if route == "chat" else 0}

        async def sample(index: int) -> Completion:
            fields = body | self._sampling_fields(prompt, sampling, index, route)
            try:
                return await self._transport.request(route, fields, lambda payload: read(payload, sampling))
            except FilteredError:
                return filtered()

        return await _all(sample(index) for index in range(sampling.samples))

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Log-likelihoods from the server's echo; raises NotMeasurableError unless a probe showed one."""
        if not self._echoes:
            raise NotMeasurableError(
                f"{self.config.model!r} at {self.config.url} gives no log-probabilities of given texts; "
                "enable completions, and probe a server whose /completions honours echo with logprobs."
            )
        text = prompt if isinstance(prompt, str) else render(self.config.template, prompt)
        first, *wholes = await _all(self._echo(t) for t in (text, *(text + c for c in continuations)))
        return branch_scores(first, wholes)

    async def close(self) -> None:
        """Close the running event loop's connections early; ``asyncio.run`` does so at its end."""
        await self._transport.close()

    async def _probe_echo(self) -> bool:
        try:
            return spells(await self._echo(_PROBE_TEXT, once=True), _PROBE_TEXT)
        except (InputError, NotMeasurableError):
            return False  # it rejects or ignores echo; a wrong key or name has shown itself before

    async def _echo(self, text: str, *, once: bool = False) -> Echo:
        body = {"prompt": text, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0.0}

        def read(payload: Mapping[str, Any]) -> Echo:
            try:
                return read_echo(payload, text)
            except FaultError as fault:
                if once:  # a server that ignores echo will ignore it again
                    raise NotMeasurableError(f"{self.config.url}: {fault.words}.") from fault
                raise

        return await self._transport.request("completions", body, read)

    def _prompt_fields(self, prompt: Prompt) -> tuple[Route, dict[str, Any]]:
        if isinstance(prompt, str):
            if not self.config.completions:
                raise NotMeasurableError(
                    f"{self.config.model!r} at {self.config.url} takes conversations only; "
                    "enable completions if the server continues raw text."
                )
            return "completions", {"prompt": prompt}
        fields: dict[str, Any] = {"messages": as_json(prompt)}
        if prompt and prompt[-1].role == "assistant":
            if self.config.prefill is None:
                raise NotMeasurableError(
                    f"{self.config.model!r} at {self.config.url} is not known to continue a prefilled "
                    "answer (many servers ignore it); state prefill if it does."
                )
            fields["extra_body"] = {**self.config.extra, **self.config.prefill}
        return "chat", fields

    def _sampling_fields(
        self, prompt: Prompt, sampling: Sampling, index: int, route: Route
    ) -> dict[str, Any]:
        # top_p is sent even at 1: servers otherwise fall back on the model folder's own generation settings.
        fields: dict[str, Any] = {
            self.config.token_field if route == "chat" else "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sample_seed(prompt, sampling, index),
        }
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        return {name: value for name, value in fields.items() if name not in self.config.omit}


def sample_seed(prompt: Prompt, sampling: Sampling, index: int) -> int:
    """A seed in [0, 2³¹), from the sampling's seed, the prompt and the sample's index alone."""
    return int(fingerprint([sampling.seed, as_json(prompt), index])[:8], 16) % 2**31


async def _all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    """All results; the first error is raised only when every one has ended, so none runs on unseen."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return tuple(result for result in results if not isinstance(result, BaseException))
