"""ReMax: each answer against the greedy answer to its prompt (Li et al. 2023, arXiv 2310.10505, equation 6).

    A_i = R_i − r(greedy answer)
The greedy answer does not depend on the draw, so the gradient keeps its mean; one sample a prompt is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.training.batches import BatchKind, Example
from trueline.training.groups import ADVANTAGES, Greedy, Group, rewards_of
from trueline.training.readings import Reading


def above_greedy(rewards: Tensor, greedy: Tensor) -> Tensor:
    """Rewards [N, K] and those of the greedy answers [N] to advantages [N, K]."""
    return rewards - greedy[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveGreedy:
    """ReMax; ``beta`` prices each nat of divergence in reward (of the drawn answer, not of the greedy one)."""

    beta: float = 0.05

    name: ClassVar[str] = "remax"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 1
    greedy: ClassVar[bool] = True
    reads: ClassVar[tuple[Reading, ...]] = ()

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt, with an advantage an answer."""
        greedy = torch.tensor([_greedy(group).reward for group in groups], dtype=torch.float64)
        advantages = above_greedy(rewards_of(groups, self.beta), greedy).tolist()
        return [group.example({ADVANTAGES: row}) for group, row in zip(groups, advantages)]


def _greedy(group: Group) -> Greedy:
    assert group.greedy is not None, "the method asks for it"
    return group.greedy
