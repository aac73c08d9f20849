"""What published judge models share: the exact text that each was trained on, and strict reading of its reply.

The text is never retyped here. It is rendered by the chat template beside the model's own weights, or comes from a
file of the user's that must have the published text's digest; either way a wrong one is refused, not used. The
weights are the user's.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, chat, last_user
from trueline.core.protocols import Judgement, Target
from trueline.core.verdicts import Item
from trueline.models.local import LocalTarget

from .asking import asked
from .template_file import read_template

AS_IT_STANDS = "{{ messages[0]['content'] }}"  # a text that holds its own special tokens


def published_template(path: Path, fields: Sequence[str], sha256: str, source: str) -> str:
    """The file's text without line breaks at its end; raises InputError unless it has the published digest."""
    text = read_template(path, fields).rstrip("\n")
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path} is not the published template (sha256 {found[:12]}, not {sha256[:12]}, without line breaks at "
            f"its end); copy it exactly from {source}."
        )
    return text


class PublishedJudge(ABC):
    """A judge model under its own format: ``text`` is what it reads, ``verdict`` what it then says."""

    name: ClassVar[str]

    def __init__(self, target: Target) -> None:
        if not isinstance(target, LocalTarget):
            raise InputError(
                f"the judge {self.name} needs the exact tokens, so its target must be a local model; "
                "give the folder or hub name of its weights."
            )
        self.target = target.with_template(AS_IT_STANDS).with_system_prompt(None)

    @abstractmethod
    def text(self, request: str, answer: str) -> str:
        """The whole text to be continued."""

    @abstractmethod
    async def verdict(self, prompt: Prompt) -> Judgement:
        """What the model says of it."""

    def options(self) -> dict[str, Any]:
        """What besides the model and the text decides the value."""
        return {}

    def fingerprint(self) -> str:
        """Changes with the model, the text around an exchange, and the options."""
        shown = self.text("request", "answer")
        return fingerprint(
            {"judge": self.name, "target": self.target.fingerprint(), "text": shown, **self.options()}
        )

    def prompt(self, item: Item, completion: Completion) -> Prompt:
        """The prompt on one answer, to the original request; the text holds its own special tokens."""
        return chat(self.text(last_user(item.prompt), completion.text))

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """The model's verdict on one answer; none for an empty one."""
        if not completion.text.strip():
            return Judgement(value=None, reason="empty answer")
        return await self.verdict(self.prompt(item, completion))


class ReplyingJudge(PublishedJudge):
    """A judge model that replies in words: one greedy reply, and anything but its own format is no verdict."""

    max_tokens: ClassVar[int]

    @abstractmethod
    def parse(self, reply: str) -> float | None:
        """The value that a reply states; None where it is not in the model's format."""

    async def verdict(self, prompt: Prompt) -> Judgement:
        """What the reply states."""
        return await asked(self.target, prompt, max_tokens=self.max_tokens, parse=self.parse)


def own_template(target: LocalTarget, request: str, answer: str, **given: str) -> str:
    """The exchange rendered by the chat template beside the weights; ``given`` are variables of that template.

    Raises InputError where there is no template, it refuses the exchange, or leaves a part of it out.
    """
    from jinja2 import TemplateError

    tokenizer = target.tokenizer
    where = f"the chat template of {target.name}"
    if not tokenizer.chat_template:
        raise InputError(f"{target.name} has no chat template; use the judge's own weights folder, whole.")
    exchange = [{"role": "user", "content": request}, {"role": "assistant", "content": answer}]
    try:
        text = str(tokenizer.apply_chat_template(exchange, tokenize=False, **given))
    except (TemplateError, ValueError, TypeError) as error:
        raise InputError(
            f"{where} refuses a request with its answer ({error}); is it the judge's?"
        ) from error
    for part in (request, answer, *given.values()):
        if part.strip() not in text:
            raise InputError(f"{where} leaves out {part.strip()[:40]!r}; it is not this judge's.")
    return text
