"""From a conversation to the text that a model continues, and from generated text to an answer.

A tokenizer's own chat template is used where it has one. Otherwise this plain one, for models that were never
taught a format::

    {system}

    User:
    {user}

    Assistant:
    {assistant}

with an empty line between turns, "Assistant:" and a line break as the generation prompt, and an answer that ends
where the model would begin the next "User:" turn.

- *Prefill*: a last assistant message is put after the generation prompt, and the model continues it.
- *System prompt*: the target's own comes before that of the conversation, in one system message. Templates
  that refuse a system role get it at the head of the first user turn.
- Templates that print the date are given a fixed one, so that a prompt is the same on every day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Conversation, Message, system, user

PLAIN_STOP = "\n\nUser:"
_PLAIN_NAMES = {"user": "User:\n", "assistant": "Assistant:\n", "system": ""}
_DATE = "26 Jul 2024"  # the date that Llama 3's template falls back to by itself
_PROBE = "trueline probe"


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """How one tokenizer renders conversations; ``override`` is a Jinja text in place of the tokenizer's own."""

    tokenizer: Any
    override: str | None = None

    @property
    def source(self) -> str:
        """The template's text, or "plain" for the one documented in this module."""
        own = self.override or getattr(self.tokenizer, "chat_template", None)
        if isinstance(own, dict):
            own = own.get("default")
        return own if isinstance(own, str) and own else "plain"

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings that the format itself needs."""
        return (PLAIN_STOP,) if self.source == "plain" else ()

    @property
    def reasons(self) -> bool:
        """Whether the format has reasoning traces between <think> marks."""
        return "<think>" in self.source or "</think>" in self.source

    def render(self, conversation: Conversation, system_prompt: str | None = None) -> str:
        """The text to be continued.

        Raises:
            InputError: the conversation is empty, or the template refuses it (its words are given).
        """
        if not conversation:
            raise InputError("the conversation is empty; give at least one user message.")
        turns = with_system(conversation, system_prompt)
        prefill = ""
        if turns[-1].role == "assistant":
            *before, last = turns
            turns, prefill = tuple(before), last.content
        if not self.takes_system:
            turns = fold_system(turns)
        return self._render(turns) + prefill

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template has a system role that shows."""
        if self.source == "plain":
            return True
        try:
            return _PROBE in self._render((system(_PROBE), user("x")))
        except InputError:
            return False

    @cached_property
    def preamble(self) -> str:
        """What the template puts before the first words of a user when nobody gives a system prompt."""
        return self._render((user(_PROBE),)).partition(_PROBE)[0]

    def _render(self, turns: Sequence[Message]) -> str:
        if self.source == "plain":
            parts = [_PLAIN_NAMES[turn.role] + turn.content for turn in turns]
            return "\n\n".join([*parts, _PLAIN_NAMES["assistant"]])
        from jinja2 import TemplateError

        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=self.override,
                tokenize=False,
                add_generation_prompt=True,
                date_string=_DATE,
            )
        except (TemplateError, ValueError, TypeError) as error:
            roles = ", ".join(turn.role for turn in turns)
            raise InputError(
                f"the chat template refuses a conversation of the roles {roles} ({error}); "
                "let user and assistant take turns, beginning with the user."
            ) from error
        return str(text)


def with_system(conversation: Conversation, system_prompt: str | None) -> Conversation:
    """The conversation with one first system message: the given prompt, then its own system messages."""
    given = [m.content for m in conversation if m.role == "system"]
    texts = given if system_prompt is None else [system_prompt, *given]
    others = tuple(m for m in conversation if m.role != "system")
    return (system("\n\n".join(texts)), *others) if texts else others


def fold_system(turns: Sequence[Message]) -> Conversation:
    """The system message put at the head of the first user turn."""
    if not turns or turns[0].role != "system":
        return tuple(turns)
    head, *rest = turns
    for at, turn in enumerate(rest):
        if turn.role == "user":
            return (*rest[:at], user(f"{head.content}\n\n{turn.content}"), *rest[at + 1 :])
    return (user(head.content), *rest)


def split_reasoning(text: str, *, opened: bool = False) -> tuple[str | None, str]:
    """(reasoning, answer): what stands before </think> is kept apart; an unclosed trace has no answer yet.

    ``opened`` says that the prompt itself ended with <think>.
    """
    begun = text.lstrip().startswith("<think>")
    thought, closed, answer = text.partition("</think>")
    if not closed and not begun and not opened:
        return None, text
    return thought.lstrip().removeprefix("<think>").strip(), answer.lstrip("\n")
