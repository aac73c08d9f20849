"""A Trueline target, with its treatment, as a model of inspect-ai: ``trueline/PATH?treatment=NAME``.

What the target cannot do is refused, never ignored: tools, images, and sampling settings that Trueline has not.
Without a temperature the answer is greedy. A blocked or filtered answer stops with ``content_filter``.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Message, Sampling
from trueline.core.protocols import Target

from .treated import treated_target

MAX_TOKENS = 256
CONNECTIONS = 64  # enough to fill batches; an endpoint limits itself
# Settings of how inspect asks, not of what the model does.
INSPECTS_OWN = {
    "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
    "cache", "batch", "system_message", "max_tool_output", "parallel_tool_calls", "internal_tools", "cache_prompt",
    "fail_on_refusal", "reasoning_history",
}  # fmt: skip
TAKEN = {"max_tokens", "temperature", "top_p", "stop_seqs", "num_choices", "seed", "logprobs"}


class TruelineAPI(ModelAPI):  # type: ignore[misc]
    """The provider; ``-M NAME=VALUE`` gives the same options as ``?NAME=VALUE`` in the model's name."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - inspect's own signature
        **model_args: Any,
    ) -> None:
        super().__init__(model_name=model_name, base_url=base_url, api_key=api_key, config=config)
        if base_url is not None:
            raise InputError(f"trueline takes no base URL; write trueline/openai:NAME@{base_url}.")
        # In a thread of its own: opening an endpoint runs an event loop, and one may be running here.
        with ThreadPoolExecutor(max_workers=1) as opening:
            self.target: Target = opening.submit(treated_target, model_name, model_args).result()

    def max_tokens(self) -> int | None:
        """The default number of generated tokens."""
        return MAX_TOKENS

    def max_connections(self) -> int:
        """How many samples are asked at once."""
        return CONNECTIONS

    def connection_key(self) -> str:
        """Each treated target has its own connections."""
        return str(self.target.fingerprint())

    async def generate(
        self, input: list[ChatMessage], tools: Sequence[Any], tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        """One answer, or ``num_choices`` of them."""
        if tools:
            raise InputError(f"{self.target.name} calls no tools; choose a task without them.")
        prompt = tuple(_message(message) for message in input)
        sampling = _sampling(config)
        completions = await self.target.generate(prompt, sampling)
        if not completions:
            raise RuntimeError(f"{self.target.name} returned nothing")
        return self._output(completions, logprobs=bool(config.logprobs))

    def _output(self, completions: Sequence[Completion], *, logprobs: bool) -> ModelOutput:
        given = completions[0].prompt_tokens
        made = sum(completion.tokens for completion in completions)
        choices = [
            ChatCompletionChoice(
                message=ChatMessageAssistant(
                    content=completion.text, model=self.target.name, source="generate"
                ),
                stop_reason=stop_reason(completion),
                logprobs=self._logprobs(completion) if logprobs else None,
            )
            for completion in completions
        ]
        return ModelOutput(
            model=self.target.name,
            choices=choices,
            usage=ModelUsage(input_tokens=given, output_tokens=made, total_tokens=given + made),
            metadata={
                "fingerprint": self.target.fingerprint(),
                "outcomes": [completion.outcome for completion in completions],
            },
        )

    def _logprobs(self, completion: Completion) -> Logprobs:
        tokenizer = _tokenizer(self.target)
        if tokenizer is None or len(completion.token_ids) != len(completion.logprobs):
            raise InputError(f"{self.target.name} gives no log-probabilities by token; leave logprobs out.")
        return Logprobs(
            content=[
                Logprob(token=tokenizer.decode([token]), logprob=value)
                for token, value in zip(completion.token_ids, completion.logprobs)
            ]
        )


def stop_reason(completion: Completion) -> Any:
    """An outcome as one of inspect's reasons to stop."""
    if completion.outcome in ("guard-blocked", "provider-filtered"):
        return "content_filter"
    return "max_tokens" if completion.outcome == "truncated" else "stop"


def _message(message: ChatMessage) -> Message:
    if message.role not in ("system", "user", "assistant") or getattr(message, "tool_calls", None):
        raise InputError(
            "a Trueline target knows no tools, so a conversation with tool calls cannot be put to it."
        )
    if not isinstance(message.content, str) and any(
        part.type not in ("text", "reasoning") for part in message.content
    ):
        raise InputError("a Trueline target reads text only; the conversation holds something else.")
    return Message(role=message.role, content=message.text)


def _sampling(config: GenerateConfig) -> Sampling:
    given = config.model_dump(exclude_none=True)
    for name in given:
        if name not in TAKEN | INSPECTS_OWN:
            raise InputError(f"a Trueline target takes no {name}; it takes: {', '.join(sorted(TAKEN))}.")
    return Sampling(
        max_tokens=config.max_tokens or MAX_TOKENS,
        temperature=config.temperature or 0.0,
        top_p=1.0 if config.top_p is None else config.top_p,
        samples=config.num_choices or 1,
        seed=config.seed or 0,
        stop=tuple(config.stop_seqs or ()),
    )


def _tokenizer(target: Any) -> Any:
    while target is not None:
        if hasattr(target, "tokenizer"):
            return target.tokenizer
        target = getattr(target, "inner", None)
    return None
