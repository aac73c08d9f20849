"""Online DPO: a prompt's best and worst own answers are a preference pair (Guo et al. 2024, arXiv 2402.04792).

The reference stays the model that training started from. Where all answers earn the same there is no preference: the
pair is one answer twice, whose gradient is exactly zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.training.batches import BatchKind, Example
from trueline.training.groups import Group
from trueline.training.readings import Reading

from .raft import best_of, picked


def best_and_worst(rewards: Sequence[float]) -> tuple[int, int]:
    """The places of the largest and the smallest, the first of equals; of no difference the first twice."""
    return best_of(rewards), best_of([-reward for reward in rewards])


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPairs:
    """Online DPO's pairs."""

    name: ClassVar[str] = "online_dpo"
    kind: ClassVar[BatchKind] = "pairs"
    samples: ClassVar[int] = 2
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = ()

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One pair a prompt, (best, worst)."""
        return [picked(group, best_and_worst(group.rewards)).example() for group in groups]
