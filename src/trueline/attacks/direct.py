"""No attack: the request as it is, asked as often as the budget allows."""

from dataclasses import replace

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling
from trueline.core.protocols import Budget, Capability, Target

from .budget import queries_within


class Direct:
    """The plain request, resampled (Best-of-N without augmentation; Hughes et al. 2024, arXiv 2412.03556).

    The first attempt follows the measure's sampling (greedy for harmful requests), the others are drawn at
    temperature 1, so ASR@k of an attack with k queries is compared with asking k times.
    """

    name = "direct"
    needs = frozenset({Capability.GENERATE})

    def __init__(self, *, queries: int | None = None) -> None:
        self.queries = queries

    def fingerprint(self) -> str:
        """The number of queries is part of the budget, not of the attack."""
        return fingerprint({"attack": self.name, "version": 1})

    async def attempts(
        self, target: Target, prompt: Prompt, sampling: Sampling, budget: Budget
    ) -> tuple[Completion, ...]:
        """As many answers as the budget has queries."""
        return await resample(target, prompt, sampling, queries_within(budget, self.name, self.queries))


async def resample(target: Target, prompt: Prompt, sampling: Sampling, count: int) -> tuple[Completion, ...]:
    """``count`` answers: the first under ``sampling``, the others at temperature 1 if that is greedy."""
    first = await target.generate(prompt, replace(sampling, samples=1))
    if count == 1:
        return first
    warm = replace(sampling, samples=count - 1, temperature=sampling.temperature or 1.0)
    return first + await target.generate(prompt, warm)
