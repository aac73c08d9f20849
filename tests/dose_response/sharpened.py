"""A model that is surer than it has reason to be."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Target


class SharpenedTarget:
    """Log-likelihoods times ``factor``, as at temperature 1/``factor``: every ranking stays, confidence rises."""

    def __init__(self, target: Target, factor: float) -> None:
        self.target = target
        self.factor = factor
        self.name = f"{target.name} × {factor:g}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.SCORE})

    def fingerprint(self) -> str:
        return fingerprint({"target": self.target.fingerprint(), "factor": self.factor})

    def describe(self) -> Mapping[str, Any]:
        return {**self.target.describe(), "sharpening": self.factor}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        raise AssertionError("a sharpened target only scores")

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        scores = await self.target.score(prompt, continuations)
        return tuple(
            replace(score, token_logprobs=tuple(self.factor * value for value in score.token_logprobs))
            for score in scores
        )
