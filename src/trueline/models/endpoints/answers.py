"""From an endpoint's JSON to completions. Whatever is not a whole answer is a fault, never an empty
answer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.messages import Completion, Outcome, Sampling

from .faults import FaultError

_REASONING_FIELDS = ("reasoning_content", "reasoning")  # DeepSeek and vLLM; OpenRouter and newer vLLM
_FILTERED_REASON = "content_filter"


def read_chat(payload: Mapping[str, Any], sampling: Sampling) -> Completion:
    """The completion in a ``/chat/completions`` answer; raises FaultError when there is no whole one."""
    choice = only_choice(payload)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise FaultError("its choice has no message")
    if message.get("tool_calls") or message.get("function_call"):
        raise FaultError(
            "it called a tool although none was offered", cure="turn tool calls off in the server"
        )
    refusal = _text(message.get("refusal"), "refusal")
    answer = _text(message.get("content"), "content")
    reasoning = next((message[name] for name in _REASONING_FIELDS if message.get(name)), None)
    if message.get("content") is None and refusal == "" and reasoning is None and _reason(choice) == "stop":
        raise FaultError("its message has no content")
    return _completion(
        payload,
        choice,
        sampling,
        text=refusal or answer,
        refused=bool(refusal),
        reasoning=None if reasoning is None else _text(reasoning, "reasoning"),
        logprobs=_chat_logprobs(choice),
    )


def read_text(payload: Mapping[str, Any], sampling: Sampling) -> Completion:
    """The completion in a ``/completions`` answer; raises FaultError when there is no whole one."""
    choice = only_choice(payload)
    if not isinstance(choice.get("text"), str):
        raise FaultError("its choice has no text")
    logprobs = choice.get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, Mapping) else None
    return _completion(
        payload,
        choice,
        sampling,
        text=choice["text"],
        refused=False,
        reasoning=None,
        logprobs=numbers(values) if values is not None else (),
    )


def filtered() -> Completion:
    """The outcome when a provider's filter rejects the prompt itself."""
    return Completion(text="", outcome="provider-filtered", finish_reason=_FILTERED_REASON)


def only_choice(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice of an answer; raises FaultError for an error in a 200 answer and for no choices."""
    error = payload.get("error")
    if error:
        words = error.get("message", error) if isinstance(error, Mapping) else error
        raise FaultError(f"its answer is an error ({str(words)[:120]})")
    choices = payload.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise FaultError("its answer has no choices")
    return choices[0]


def token_counts(payload: Mapping[str, Any]) -> tuple[int, int] | None:
    """(prompt tokens, completion tokens) as reported, None where the server reports none."""
    usage = payload.get("usage")
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or prompt < 0 or completion < 0:
        return None
    return prompt, completion


def numbers(values: Any) -> tuple[float, ...]:
    """Log-probabilities as floats; raises FaultError when they are not finite numbers."""
    if not isinstance(values, list) or not all(
        type(v) in (int, float) and math.isfinite(v) and v < 1e-3 for v in values
    ):
        raise FaultError("its log-probabilities are not finite numbers at most 0")
    return tuple(float(v) for v in values)


def _completion(
    payload: Mapping[str, Any],
    choice: Mapping[str, Any],
    sampling: Sampling,
    *,
    text: str,
    refused: bool,
    reasoning: str | None,
    logprobs: tuple[float, ...],
) -> Completion:
    prompt_tokens, tokens = token_counts(payload) or (0, 0)
    delivered = cut_at_stop(text, sampling.stop)
    return Completion(
        text=delivered,
        raw=None if delivered == text else text,
        outcome=_outcome(_reason(choice), refused),
        finish_reason=_reason(choice),
        reasoning=reasoning,
        logprobs=logprobs,
        prompt_tokens=prompt_tokens,
        tokens=tokens,
        model=payload.get("model") if isinstance(payload.get("model"), str) else None,
    )


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop string: some servers leave it in, the official API does not."""
    ends = [at for s in stop if s and (at := text.find(s)) >= 0]
    return text[: min(ends)] if ends else text


def _outcome(reason: str, refused: bool) -> Outcome:
    if reason == _FILTERED_REASON:
        return "provider-filtered"
    if refused:
        return "model-refused"
    return "truncated" if reason == "length" else "answered"


def _reason(choice: Mapping[str, Any]) -> str:
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or not reason:
        raise FaultError("its answer was cut off: it has no finish reason")
    return reason


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in value
    ):
        return "".join(part["text"] for part in value)
    raise FaultError(f"its {name} is a {type(value).__name__}, not text")


def _chat_logprobs(choice: Mapping[str, Any]) -> tuple[float, ...]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not content:
        return ()
    if not isinstance(content, list) or not all(isinstance(token, Mapping) for token in content):
        raise FaultError("its log-probabilities are malformed")
    return numbers([token.get("logprob") for token in content])
