"""A target seen through a treatment that changes what it is asked or what it delivers, not its weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Target

# what a wrapper can pass on: hidden states and gradients would be those of the target without the treatment
PASSED_ON = frozenset(
    {
        Capability.GENERATE,
        Capability.RAW_TEXT,
        Capability.PREFILL,
        Capability.SCORE,
        Capability.LIKELIHOOD,
    }
)


class WrappedTarget:
    """Passes everything on to ``inner``; subclasses override what their treatment changes."""

    def __init__(self, inner: Target, *, treatment: str, settings: Mapping[str, Any], key: str) -> None:
        self.inner = inner
        self._treatment = treatment
        self._settings = dict(settings)
        self._key = key

    @property
    def name(self) -> str:
        """The inner target's name with the treatment's."""
        return f"{self.inner.name} + {self._treatment}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The inner target's, without those that would go round the treatment."""
        return self.inner.capabilities & PASSED_ON

    def fingerprint(self) -> str:
        """A digest of the treatment and of the target inside."""
        return fingerprint({"treatment": self._key, "target": self.inner.fingerprint()})

    def describe(self) -> Mapping[str, Any]:
        """The inner target's provenance, and the treatment with its settings."""
        inner = dict(self.inner.describe())
        applied = [*inner.get("treatments", []), {"name": self._treatment, **self._settings}]
        return {**inner, "treatments": applied}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """The inner target's completions."""
        return await self.inner.generate(prompt, sampling)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """The inner target's scores."""
        return await self.inner.score(prompt, continuations)
