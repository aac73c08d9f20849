"""RAFT: learn the best answer of each prompt as a demonstration (Dong et al. 2023, arXiv 2304.06767, algorithm 1).

The best of K by reward is kept with advantage 1; at ratio 1 the clipped gradient over tokens is that of supervised
fine-tuning on it. Of equals the first is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from trueline.models.trees import Tree
from trueline.training.batches import BatchKind, Example
from trueline.training.groups import ADVANTAGES, Group
from trueline.training.readings import Reading


def best_of(rewards: Sequence[float]) -> int:
    """The place of the largest, the first of equals."""
    return max(range(len(rewards)), key=lambda k: (rewards[k], -k))


def picked(group: Group, places: Sequence[int]) -> Group:
    """The group with some of its answers, in the order given; one may come twice."""
    return replace(
        group,
        tree=Tree(trunk=group.tree.trunk, branches=tuple(group.tree.branches[k] for k in places)),
        texts=tuple(group.texts[k] for k in places),
        finished=tuple(group.finished[k] for k in places),
        rewards=tuple(group.rewards[k] for k in places),
        old=tuple(group.old[k] for k in places),
        reference=tuple(group.reference[k] for k in places),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BestAnswer:
    """RAFT's selection."""

    name: ClassVar[str] = "raft"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 2
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = ()

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt: its best answer."""
        best = [picked(group, [best_of(group.rewards)]) for group in groups]
        return [group.example({ADVANTAGES: [1.0]}) for group in best]
