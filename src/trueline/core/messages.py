"""Messages, requests and completions: what is said to a target and what it answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Outcome = Literal["answered", "model-refused", "guard-blocked", "provider-filtered", "truncated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Conversation = tuple[Message, ...]
# A raw string is plain text to be continued, outside any chat template (language-model prompts, documents).
Prompt = Conversation | str


def system(content: str) -> Message:
    """A system message."""
    return Message(role="system", content=content)


def user(content: str) -> Message:
    """A user message."""
    return Message(role="user", content=content)


def assistant(content: str) -> Message:
    """An assistant message; as the last of a conversation it is a prefill that the target continues."""
    return Message(role="assistant", content=content)


def chat(*messages: Message | str) -> Conversation:
    """A conversation; bare strings alternate user, assistant, user ..."""
    turns = [m if isinstance(m, Message) else None for m in messages]
    out: list[Message] = []
    speaker = 0
    for given, turn in zip(messages, turns):
        if turn is None:
            turn = Message(role="user" if speaker % 2 == 0 else "assistant", content=str(given))
        if turn.role != "system":
            speaker = 1 if turn.role == "user" else 0
        out.append(turn)
    return tuple(out)


def last_user(prompt: Prompt) -> str:
    """The text of the last user turn, or the raw text itself."""
    if isinstance(prompt, str):
        return prompt
    for message in reversed(prompt):
        if message.role == "user":
            return message.content
    return ""


def as_json(prompt: Prompt) -> str | list[dict[str, str]]:
    """A JSON-ready form of a prompt."""
    return prompt if isinstance(prompt, str) else [{"role": m.role, "content": m.content} for m in prompt]


def from_json(value: str | Iterable[dict[str, str]]) -> Prompt:
    """The inverse of :func:`as_json`."""
    if isinstance(value, str):
        return value
    return tuple(Message(role=m["role"], content=m["content"]) for m in value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to generate. ``temperature=0`` is greedy; ``samples`` independent completions are drawn.

    A sample's random stream comes from (seed, prompt, sample index), never from its place in a batch.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer. ``text`` is as delivered; ``raw`` is as generated (None when the same).

    ``logprobs`` are the behaviour log-probabilities of ``token_ids`` (natural log), when the target gives them.
    ``prompt_tokens`` counts the prompt once; ``tokens`` the generated ones. ``reasoning`` is kept apart.
    """

    text: str
    outcome: Outcome = "answered"
    finish_reason: str = "stop"
    raw: str | None = None
    reasoning: str | None = None
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    tokens: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Log-likelihood of one continuation given a prompt: one natural-log value a token of the continuation.

    ``moments`` are, where they were asked for, the mean and variance of log p(v) over v drawn from p itself at
    each of these tokens.
    """

    token_logprobs: tuple[float, ...] = field(default=())
    prompt_tokens: int = 0
    moments: tuple[tuple[float, float], ...] = ()

    @property
    def logprob(self) -> float:
        """Sum over the continuation's tokens."""
        return float(sum(self.token_logprobs))

    @property
    def tokens(self) -> int:
        """Number of tokens in the continuation."""
        return len(self.token_logprobs)
