"""Log-likelihoods from a server's ``/completions`` with ``echo``: the pure part.

A prompt with K continuations is sent as K + 1 texts. The trunk is the longest token prefix common to the
prompt and all K wholes, so a token that merges across the boundary belongs to the continuation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Conversation, Score, as_json

from .answers import numbers, only_choice, token_counts
from .faults import FaultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """A text's tokens as the server cut it, and each one's log-probability (None for the first)."""

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]


def read_echo(payload: Mapping[str, Any], text: str) -> Echo:
    """The tokens of the echoed text, without the generated one; raises FaultError when nothing was echoed.

    One token is generated beside the echo, because many servers refuse to generate none. Where the server
    counts the prompt's tokens, they say where the echo ends; otherwise the last token is the generated one.
    """
    choice = only_choice(payload)
    logprobs = choice.get("logprobs")
    said = choice.get("text")
    if not isinstance(said, str) or not said.startswith(text) or not isinstance(logprobs, Mapping):
        raise FaultError("it did not echo the prompt with log-probabilities")
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        raise FaultError("its echoed tokens and log-probabilities do not match")
    counts = token_counts(payload)
    end = counts[0] if counts else len(tokens) - 1
    if not 0 <= len(tokens) - end <= 1:
        raise FaultError(f"it echoed {len(tokens)} tokens of a prompt that it counts as {end}")
    kept, scores = tokens[:end], values[:end]
    if not kept or not all(isinstance(token, str) for token in kept):
        raise FaultError("its echoed tokens are not texts")
    return Echo(tokens=tuple(kept), logprobs=(*_first(scores[0]), *numbers(scores[1:])))


def _first(value: Any) -> tuple[float | None]:
    # Nothing precedes the first token, so most servers give no log-probability for it.
    return (None,) if value is None else (numbers([value])[0],)


def spells(echo: Echo, text: str) -> bool:
    """Whether the tokens, joined, are the text (after a beginning token, if the server adds one)."""
    return "".join(echo.tokens).endswith(text)


def branch_scores(prompt: Echo, wholes: Sequence[Echo]) -> tuple[Score, ...]:
    """Each whole's log-probabilities after the trunk; raises NotMeasurableError where the trunk is empty."""
    trunk = 0
    for column in zip(prompt.tokens, *(w.tokens for w in wholes)):
        if len(set(column)) > 1:
            break
        trunk += 1
    scores = []
    for whole in wholes:
        values = whole.logprobs[trunk:]
        if any(v is None for v in values):
            raise NotMeasurableError(
                "a continuation of an empty prompt has no log-probability for its first token."
            )
        scores.append(
            Score(token_logprobs=tuple(float(v) for v in values if v is not None), prompt_tokens=trunk)
        )
    return tuple(scores)


def render(template: str | None, conversation: Conversation) -> str:
    """A conversation as text, by the Jinja chat template that the user gave (``bos_token`` is the
    server's).
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if template is None:
        raise NotMeasurableError(
            "an endpoint's chat template is not known, so conversations cannot be scored; "
            "give it as template."
        )
    if "eos_token" in template:
        raise InputError(
            "the chat template uses eos_token, which an endpoint does not tell; write the token itself."
        )
    if conversation and conversation[-1].role == "assistant":
        raise NotMeasurableError(
            "an endpoint cannot score after a prefilled answer; end the conversation with a user."
        )
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

    def raise_exception(words: str) -> None:
        raise jinja2.TemplateError(words)

    environment.globals["raise_exception"] = raise_exception
    try:
        return environment.from_string(template).render(
            messages=as_json(conversation), add_generation_prompt=True, bos_token=""
        )
    except jinja2.TemplateError as error:
        raise InputError(f"the chat template does not fit the conversation: {error}.") from error
