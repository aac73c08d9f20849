"""Any model of inspect-ai as a target: ``inspect:PROVIDER/NAME``, with the provider's options after ``?``.

Example: ``inspect:hf/PATH?do_sample=false``, ``inspect:anthropic/NAME`` (the provider's own key in the environment).

It generates; nothing else can be asked through inspect-ai's interface. Log-probabilities are passed on where a probe
shows that the provider gives them. inspect-ai retries what can be retried; what still fails, an answer without a
choice, or one that calls a tool raises UnfinishedError: no row, and a later run asks again. Never a score.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import yaml

from trueline.core.errors import InputError, MissingExtraError, NotMeasurableError, UnfinishedError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Outcome, Prompt, Sampling, Score, chat
from trueline.core.protocols import Capability, Target

from .endpoints.endpoint import sample_seed
from .prompted import PromptedTarget

PREFIX = "inspect:"
EXTRA = "inspect"
RETRIES = 6
DEADLINE_S = 600
_FINISHES: Mapping[str, tuple[str, Outcome]] = {
    "stop": ("stop", "answered"),
    "max_tokens": ("length", "truncated"),
    "model_length": ("length", "truncated"),
    "content_filter": ("content_filter", "provider-filtered"),
    "unknown": ("unknown", "answered"),
}
_LONGEST_QUOTE = 200
T = TypeVar("T")


def open_inspect(spec: str, *, system_prompt: str | None = None, epoch: str = "") -> Target:
    """The target of ``inspect:PROVIDER/NAME?OPTION=VALUE``, asked once so that faults show before planning.

    Raises:
        MissingExtraError: inspect-ai is not installed.
        InputError: no such provider, or it cannot be set up (its package, its key, an option).
        UnfinishedError: it does not answer.
    """
    target = InspectTarget(spec, epoch=epoch)
    asyncio.run(target.probe())
    return target if system_prompt is None else PromptedTarget(target, system_prompt)


class InspectTarget:
    """A model of inspect-ai. Its clients live in one event loop of their own, whichever loop asks."""

    def __init__(self, spec: str, *, epoch: str = "") -> None:
        address, _, query = spec[len(PREFIX) :].partition("?")
        if "/" not in address.strip("/"):
            raise InputError(f"{spec!r} names no model of inspect-ai; write inspect:PROVIDER/NAME.")
        self.address, self.epoch = address, epoch
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError as error:
            raise InputError(f"{spec!r}: write NAME=VALUE&NAME=VALUE after the '?'.") from error
        self.options = {name: yaml.safe_load(value) for name, value in pairs}
        self.model = self._open()
        self.gives_logprobs = False
        self.reported: str | None = None

    def _open(self) -> Any:
        try:
            from inspect_ai.model import get_model
        except ImportError as error:
            raise MissingExtraError(feature=f"{PREFIX}{self.address}", extra=EXTRA) from error
        try:
            return get_model(self.address, memoize=False, **self.options)
        except Exception as error:  # each provider has its own, and all mean this
            raise InputError(f"inspect-ai cannot set up {self.address!r}: {_quoted(error)}.") from error

    @property
    def name(self) -> str:
        """The model's name as the user wrote it."""
        return self.address

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Generation of conversations."""
        return frozenset({Capability.GENERATE})

    def fingerprint(self) -> str:
        """A digest of provider, name, options, inspect-ai's version and the study's epoch; there are no bytes."""
        return fingerprint(
            {
                "kind": "inspect",
                "model": self.address,
                "options": self.options,
                "epoch": self.epoch,
                "reported model": self.reported,
                "inspect_ai": self._version,
            }
        )

    def describe(self) -> Mapping[str, Any]:
        """Provenance; which sampling settings a provider honours is its affair."""
        return {
            "kind": "inspect",
            "name": self.address,
            "options": dict(self.options),
            "reported model": self.reported,
            "epoch": self.epoch,
            "log-probabilities": self.gives_logprobs,
            "capabilities": sorted(self.capabilities),
            "inspect_ai": self._version,
        }

    async def probe(self) -> None:
        """One short request: whether it answers, under which name, and with log-probabilities or without."""
        sampling = Sampling(max_tokens=16)
        try:
            self.gives_logprobs = True
            (answer,) = await self.generate(chat("Say yes."), sampling)
            self.gives_logprobs = bool(answer.logprobs)
        except (InputError, NotMeasurableError, UnfinishedError):
            self.gives_logprobs = (
                False  # a provider may refuse the setting; any other cause shows itself again
            )
            (answer,) = await self.generate(chat("Say yes."), sampling)
        self.reported = answer.model

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """``sampling.samples`` completions, each its own request with its own seed."""
        if isinstance(prompt, str):
            raise NotMeasurableError(f"{self.address} takes conversations only.")
        if prompt and prompt[-1].role == "assistant":
            raise NotMeasurableError(f"{self.address} is not known to continue a prefilled answer.")
        samples = [self._sample(prompt, sampling, index) for index in range(sampling.samples)]
        results = await asyncio.gather(*samples, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return tuple(result for result in results if not isinstance(result, BaseException))

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Never: inspect-ai asks no model for the likelihood of given texts."""
        raise NotMeasurableError(
            f"{self.address} gives no log-probabilities of given texts through inspect-ai."
        )

    async def _sample(self, prompt: Prompt, sampling: Sampling, index: int) -> Completion:
        from inspect_ai.model import GenerateConfig

        config = GenerateConfig(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.top_p < 1 else None,
            stop_seqs=list(sampling.stop) or None,
            seed=sample_seed(prompt, sampling, index),
            logprobs=True if self.gives_logprobs else None,
            max_retries=RETRIES,
            timeout=DEADLINE_S,
        )
        try:
            output = await _in_loop(self.model.generate(_messages(prompt), config=config))
        except Exception as error:  # each provider has its own; none may become a score
            raise self._translated(error) from error
        return read_output(output, sampling, self.address)

    def _translated(self, error: Exception) -> Exception:
        words = _quoted(error)
        if isinstance(error, NotImplementedError):
            return NotMeasurableError(f"{self.address}: {words}.")
        if type(error).__name__ in ("PrerequisiteError", "AuthenticationError", "PermissionDeniedError"):
            return InputError(f"{self.address} cannot be asked: {words}.")
        return UnfinishedError(
            f"{self.address} gave no usable answer: {words}; run again to resume once it is well."
        )

    @cached_property
    def _version(self) -> str:
        from importlib.metadata import version

        return version("inspect-ai")


def read_output(output: Any, sampling: Sampling, address: str) -> Completion:
    """The completion in a ModelOutput; raises UnfinishedError where it holds no whole answer."""
    if not output.choices:
        raise UnfinishedError(f"{address} gave no usable answer: {output.error or 'it has no choices'}.")
    choice = output.choices[0]
    if choice.message.tool_calls or choice.stop_reason == "tool_calls":
        raise UnfinishedError(f"{address} gave no usable answer: it called a tool although none was offered.")
    finish, outcome = _FINISHES[choice.stop_reason]
    usage = output.usage
    tokens = usage.output_tokens if usage is not None else 0
    if finish == "unknown" and usage is not None and tokens >= sampling.max_tokens:
        finish, outcome = "length", "truncated"  # the provider does not say, the count does
    reasoning = [part.reasoning for part in _parts(choice.message) if part.type == "reasoning"]
    logprobs = choice.logprobs.content if choice.logprobs is not None else ()
    return Completion(
        text=choice.message.text,
        outcome=outcome,
        finish_reason=finish,
        reasoning="\n".join(reasoning) or None,
        logprobs=tuple(float(entry.logprob) for entry in logprobs),
        prompt_tokens=usage.input_tokens if usage is not None else 0,
        tokens=tokens,
        model=output.model or None,
    )


def _parts(message: Any) -> Sequence[Any]:
    return () if isinstance(message.content, str) else message.content


def _messages(prompt: Prompt) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    assert not isinstance(prompt, str)
    return [kinds[message.role](content=message.content) for message in prompt]


def _quoted(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


async def _in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs in one loop for the life of the process: a provider's connections belong to the loop that opened them,
    and a study runs one loop an arm."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="inspect-ai", daemon=True).start()
    future: Future[T] = asyncio.run_coroutine_threadsafe(work, _loop)
    return await asyncio.wrap_future(future)
