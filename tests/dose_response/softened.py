"""A model that is less sure than it has reason to be."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Target


class SoftenedTarget:
    """Log-likelihoods divided by ``temperature``: every ranking stays, confidence falls (Guo et al. 2017)."""

    def __init__(self, target: Target, temperature: float) -> None:
        self.target = target
        self.temperature = temperature
        self.name = f"{target.name} at temperature {temperature:g}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.SCORE})

    def fingerprint(self) -> str:
        return fingerprint({"target": self.target.fingerprint(), "temperature": self.temperature})

    def describe(self) -> Mapping[str, Any]:
        return {**self.target.describe(), "temperature": self.temperature}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        raise AssertionError("a softened target only scores")

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        scores = await self.target.score(prompt, continuations)
        return tuple(
            replace(score, token_logprobs=tuple(value / self.temperature for value in score.token_logprobs))
            for score in scores
        )
