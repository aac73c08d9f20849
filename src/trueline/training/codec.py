"""Prompts and answers as token trees, in exactly the text that the model is given when it is used.

An answer is trained as the continuation of the very prompt from which the target generates, followed by
what its chat template puts after an assistant's words, up to and with the token that ends a turn. So
training and use agree, whatever the template does to finished turns (trailing newlines after the end token
are not learnt).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from trueline.core.errors import InputError
from trueline.core.messages import Conversation, user
from trueline.models.sources import decode
from trueline.models.trees import Tree

if TYPE_CHECKING:
    from trueline.models.encoding import Encoding

_ASKED, _SAID = "trueline asks", "trueline answers"


class Codec(Protocol):
    """A model's chat template and tokenizer."""

    def tree(self, prompt: Conversation, answers: Sequence[str]) -> Tree:
        """The prompt with answers as branches; each ends with the token that ends an answer."""

    def document(self, text: str) -> Tree:
        """A plain text, outside any template, as one branch; it has no end token, as it may be an extract."""


class Speech(Protocol):
    """How a prompt becomes the tokens from which a model answers, and what drawn tokens say."""

    @property
    def end_tokens(self) -> frozenset[int]: ...

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer besides the end tokens."""

    def start(self, prompt: Conversation) -> tuple[int, ...]:
        """The prompt's tokens."""

    def said(self, prompt: Conversation, start: Sequence[int], tokens: Sequence[int]) -> str:
        """The answer as it would be delivered."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones included."""


class ChatCodec:
    """A codec over a local target's encoding; ``end_tokens`` are the ids that end an answer of this model."""

    def __init__(self, encoding: "Encoding", end_tokens: frozenset[int]) -> None:
        self._encoding = encoding
        self._end_tokens = end_tokens

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end an answer."""
        return self._end_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer where the template writes no end token."""
        return tuple(self._encoding.template.stops)

    def start(self, prompt: Conversation) -> tuple[int, ...]:
        """The tokens from which an answer is drawn."""
        return self._encoding.start(prompt)

    def said(self, prompt: Conversation, start: Sequence[int], tokens: Sequence[int]) -> str:
        """The answer without what ends it and without its reasoning."""
        return self._encoding.spoken(prompt, start, tokens, self.stops).text

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones included."""
        return decode(self._encoding.tokenizer, tokens, special=True)

    def tree(self, prompt: Conversation, answers: Sequence[str]) -> Tree:
        """The prompt with answers as branches."""
        before, after = self.frame
        if prompt and prompt[-1].role == "assistant":
            before = ""  # the answer goes on in mid-turn
        return self._encoding.tree(prompt, [before + answer + after for answer in answers])

    def document(self, text: str) -> Tree:
        """A plain text as one branch."""
        return self._encoding.tree("", [text])

    @cached_property
    def frame(self) -> tuple[str, str]:
        """What stands between the generation prompt and the answer, and what ends the answer."""
        template, tokenizer = self._encoding.template, self._encoding.tokenizer
        if template.source == "plain":
            return " ", self._end("")
        asked = template.render((user(_ASKED),))
        whole = tokenizer.apply_chat_template(
            [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _SAID}], tokenize=False
        )
        head, found, tail = str(whole).partition(_SAID)
        if not found:
            raise InputError(
                "this chat template does not show an assistant's message, so it cannot be used for training; "
                "give the tokenizer a template that does."
            )
        return head.removeprefix(asked) if head.startswith(asked) else "", self._end(tail)

    def _end(self, tail: str) -> str:
        """The template's closing up to its first end token, or else the tokenizer's own end token."""
        tokenizer = self._encoding.tokenizer
        names = [tokenizer.convert_ids_to_tokens(token) for token in self._end_tokens]
        places = [(tail.find(name), name) for name in names if isinstance(name, str) and name in tail]
        if places:
            place, name = min(places)
            return tail[: place + len(name)]
        if tokenizer.eos_token is None:
            raise InputError(
                "this tokenizer has no end token and its template writes none: a model trained with it would "
                "never stop; set the tokenizer's eos_token."
            )
        return str(tokenizer.eos_token)
