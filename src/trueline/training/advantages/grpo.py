"""Group-relative advantages: each answer against the mean of its prompt's answers, over their spread.

Shao et al. 2024 (arXiv 2402.03300, section 4.1.2):  A_i = (R_i − mean(R)) / sd(R).
Dividing by each group's own spread weights prompts on which the policy nearly always, or hardly ever, succeeds
more than others (Liu et al. 2025, arXiv 2503.20783, section 3.1): ``scale="none"`` leaves it out, ``"batch"`` divides
by the spread over the whole rollout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example
from trueline.training.groups import ADVANTAGES, Group, rewards_of
from trueline.training.readings import Reading

Scale = Literal["group", "batch", "none"]
SCALES: tuple[Scale, ...] = ("group", "batch", "none")
LITTLE = 1e-4  # keeps a group of equal rewards at zero instead of 0/0


def group_relative(rewards: Tensor, scale: Scale = "group") -> Tensor:
    """Rewards [N, K] to advantages [N, K]; the spread is the sample standard deviation (K − 1)."""
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if scale == "group":
        return centred / (rewards.std(dim=1, keepdim=True) + LITTLE)
    return centred / (rewards.std() + LITTLE) if scale == "batch" else centred


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRelative:
    """GRPO's advantages; ``beta`` prices divergence in the reward (0: it is priced in the loss, or not at all)."""

    scale: Scale = "group"
    beta: float = 0.0

    name: ClassVar[str] = "grpo"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 2
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = ()

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise InputError(f"scale {self.scale!r} is not known: give {', '.join(SCALES)}.")

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt, with an advantage an answer."""
        advantages = group_relative(rewards_of(groups, self.beta), self.scale).tolist()
        return [group.example({ADVANTAGES: row}) for group, row in zip(groups, advantages)]
