"""A system prompt for targets that hold none of their own, such as endpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Target

from .templates import with_system

PASSED_ON = frozenset({Capability.GENERATE, Capability.RAW_TEXT, Capability.PREFILL, Capability.SCORE})


class PromptedTarget:
    """``inner`` under a system prompt, which comes before the conversation's own as in a local target.

    Raw text has no turns and passes unchanged. What a server adds by itself stays unknown.
    """

    def __init__(self, inner: Target, system_prompt: str) -> None:
        if not system_prompt.strip():
            raise InputError("the system prompt is empty; give a text, or leave it out.")
        self.inner = inner
        self.system_prompt = system_prompt

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.inner.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The inner target's, without those that would go round the prompt."""
        return self.inner.capabilities & PASSED_ON

    def fingerprint(self) -> str:
        """A digest of the prompt and of the target inside."""
        return fingerprint({"system_prompt": self.system_prompt, "target": self.inner.fingerprint()})

    def describe(self) -> Mapping[str, Any]:
        """The inner target's provenance with the prompt."""
        return {**self.inner.describe(), "system_prompt": self.system_prompt}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """Completions of the prompt under the system prompt."""
        return await self.inner.generate(self._under(prompt), sampling)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Scores under the system prompt."""
        return await self.inner.score(self._under(prompt), continuations)

    def _under(self, prompt: Prompt) -> Prompt:
        return prompt if isinstance(prompt, str) else with_system(prompt, self.system_prompt)
