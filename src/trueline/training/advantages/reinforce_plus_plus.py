"""REINFORCE++: returns of each token, normalised over the whole rollout (Hu 2025, arXiv 2501.03262, equations 6–8).

    A_t = r(x, y) − β Σ_{i≥t} (log π − log π₀)_i,   then (A_t − mean) / sd over all tokens of the rollout
No critic and no group: one answer a prompt is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.batches import BatchKind, Example
from trueline.training.groups import ADVANTAGES, Group
from trueline.training.readings import Reading

LITTLE = 1e-8


def returns_to_go(reward: float, kl: Tensor, beta: float) -> Tensor:
    """r − β Σ_{i≥t} kl_i for each token: [T] in, [T] out."""
    return reward - beta * kl.flip(0).cumsum(0).flip(0)


def normalised(returns: Sequence[Tensor]) -> list[Tensor]:
    """Less the mean and over the standard deviation of all tokens of all answers."""
    everything = torch.cat(list(returns))
    return [(row - everything.mean()) / (everything.std(unbiased=False) + LITTLE) for row in returns]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedReturns:
    """REINFORCE++; ``beta`` prices each nat of divergence in reward."""

    beta: float = 0.01

    name: ClassVar[str] = "reinforce_plus_plus"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 1
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = ()

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt, with an advantage a token."""
        returns = [
            returns_to_go(reward, (old - reference).double(), self.beta)
            for group in groups
            for reward, old, reference in zip(group.rewards, group.old, group.reference)
        ]
        rows = iter(normalised(returns))
        return [
            group.example(given={ADVANTAGES: [next(rows).float() for _ in group.rewards]}) for group in groups
        ]
