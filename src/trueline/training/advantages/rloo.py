"""Leave-one-out advantages: each answer against the mean of the *other* answers to its prompt.

Ahmadian et al. 2024 (arXiv 2402.14740, equation 8), after Kool et al. 2019:
    A_i = R_i − 1/(K − 1) Σ_{j≠i} R_j,   R = r − β Σ_t (log π − log π₀)
The baseline does not depend on answer i, so the gradient E[A ∇ log π] keeps its mean. K ≥ 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example
from trueline.training.groups import ADVANTAGES, Group, rewards_of
from trueline.training.readings import Reading


def leave_one_out(rewards: Tensor) -> Tensor:
    """Rewards [N, K] to advantages [N, K]; every row sums to zero."""
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    """RLOO; ``beta`` ≥ 0 prices each nat of divergence from the starting model in reward."""

    beta: float = 0.05

    name: ClassVar[str] = "rloo"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 2
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = ()

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise InputError(f"beta {self.beta} is not allowed: give 0 or more (0: no price on divergence).")

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt, with an advantage an answer."""
        advantages = leave_one_out(rewards_of(groups, self.beta)).tolist()
        return [group.example({ADVANTAGES: row}) for group, row in zip(groups, advantages)]
