"""Jailbreak templates seen in the wild."""

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, last_user
from trueline.core.protocols import Budget, Capability, Target
from trueline.data.loaders import load_rows

from .budget import queries_within

REQUEST = "{request}"
# The ways in which the collected prompts mark where the request goes, e.g. [INSERT PROMPT HERE].
PLACE = re.compile(
    r"[\[{](?:insert |put |your |insert your |put your )?(?:prompt|question|request|query)"
    r"(?: goes)?(?: here)?[\]}]",
    re.IGNORECASE,
)


class JailbreakTemplate:
    """In-the-wild jailbreak prompts (Shen et al. 2023, arXiv 2308.03825) around the request.

    Each query uses another template, in an order that depends on the seed and the request only, so that one
    query a request averages over templates and k queries are the best of k. ``templates`` hold {request}
    where the request goes; by default they are those of the data set that mark exactly one place for it, no
    longer than ``max_characters`` (long ones do not fit small contexts). Only the last user turn changes;
    system prompts stay.

    Data: ``inthewild_jailbreaks`` (MIT; 666 prompts collected in 2022–2023, so recent models have seen them).
    """

    name = "jailbreak_template"
    needs = frozenset({Capability.GENERATE})

    def __init__(
        self,
        *,
        templates: Sequence[str] | None = None,
        queries: int | None = None,
        max_characters: int = 2000,
        seed: int = 0,
    ) -> None:
        self.templates = tuple(templates) if templates is not None else collected(max_characters)
        self.queries = queries
        self.seed = seed
        if not self.templates:
            raise InputError(
                "attack 'jailbreak_template' has no templates; give some, or raise max_characters."
            )
        for template in self.templates:
            if template.count(REQUEST) != 1:
                raise InputError(f"template {template[:60]!r} must hold {REQUEST} exactly once.")

    def fingerprint(self) -> str:
        """Changes with the templates and the seed."""
        return fingerprint(
            {"attack": self.name, "version": 1, "templates": self.templates, "seed": self.seed}
        )

    async def attempts(
        self, target: Target, prompt: Prompt, sampling: Sampling, budget: Budget
    ) -> tuple[Completion, ...]:
        """One answer a template, in the request's own order; no more queries than templates."""
        if isinstance(prompt, str):
            raise InputError(
                "attack 'jailbreak_template' needs a conversation; raw text has no request to frame."
            )
        count = queries_within(budget, self.name, self.queries)
        answers: list[Completion] = []
        for template in self._order(last_user(prompt))[:count]:
            answers += await target.generate(_framed(prompt, template), replace(sampling, samples=1))
        return tuple(answers)

    def _order(self, request: str) -> list[str]:
        return sorted(self.templates, key=lambda t: sha256(f"{self.seed}:{request}:{t}".encode()).digest())


def _framed(prompt: Prompt, template: str) -> Prompt:
    assert not isinstance(prompt, str)
    turns = list(prompt)
    for index in reversed(range(len(turns))):
        if turns[index].role == "user":
            turns[index] = replace(turns[index], content=template.replace(REQUEST, turns[index].content))
            break
    return tuple(turns)


def collected(max_characters: int) -> tuple[str, ...]:
    """The data set's prompts with exactly one place for a request, each once, as templates."""
    rows = load_rows("inthewild_jailbreaks", "inthewild_jailbreak_llms.json")
    texts = dict.fromkeys(row["text"] for row in rows)
    return tuple(
        PLACE.sub(lambda _: REQUEST, text)
        for text in texts
        if len(text) <= max_characters and REQUEST not in text and len(PLACE.findall(text)) == 1
    )
