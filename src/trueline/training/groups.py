"""A rollout: prompts with the answers that the policy drew, what they are worth, and what a method makes of them.

Legend: N groups (prompts), K answers a group, T tokens of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from trueline.core.messages import Conversation
from trueline.models.trees import Tree

from .batches import BatchKind, Example
from .readings import Reading

OLD = "old"  # the name under which examples carry the log-probabilities that the policy had when it drew
ADVANTAGES = "advantages"  # of answers (a fact) or of tokens (given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """The greedy answer to a prompt, which is compared with and never learnt."""

    tokens: tuple[int, ...]
    text: str
    reward: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """One prompt and its K answers.

    ``rewards`` are what the method is to make larger. ``old`` are the policy's own log-probabilities of the
    answers' tokens when it drew them, ``reference`` those of the model that it started from, [T] an answer;
    ``values`` what its critic foresaw at each token. ``greedy`` is there where the method asks for it. ``finished``
    tells which answers came to their end, ``watched`` has further scores of them by name. ``mismatch`` is Σ
    |log π_sampler − log π_trainer| over all tokens, where both were computed.
    """

    index: int
    prompt: Conversation
    tree: Tree
    texts: tuple[str, ...]
    finished: tuple[bool, ...]
    rewards: tuple[float, ...]
    old: tuple[Tensor, ...]
    reference: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] | None = None
    greedy: Greedy | None = None
    watched: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    mismatch: float | None = None

    @property
    def drawn(self) -> Tree:
        """All that was drawn: the answers, and the greedy one."""
        if self.greedy is None:
            return self.tree
        return replace(self.tree, branches=(*self.tree.branches, self.greedy.tokens))

    @property
    def judged(self) -> tuple[str, ...]:
        """All texts that were scored."""
        return self.texts if self.greedy is None else (*self.texts, self.greedy.text)

    def kl(self) -> Tensor:
        """k1 of each answer, Σ_t log π − log π₀: its mean over answers is an unbiased KL(π ‖ π₀). [K]"""
        return torch.stack([(old - ref).double().sum() for old, ref in zip(self.old, self.reference)])

    def example(
        self,
        facts: Mapping[str, Sequence[float]] | None = None,
        given: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> Example:
        """The whole group as one example, which carries the old log-probabilities and what is added."""
        return Example(
            tree=self.tree,
            index=self.index,
            facts={name: tuple(float(v) for v in values) for name, values in (facts or {}).items()},
            reference=self.reference,
            given={OLD: self.old, **{name: tuple(rows) for name, rows in (given or {}).items()}},
        )


def rewards_of(groups: Sequence[Group], beta: float = 0.0) -> Tensor:
    """Rewards [N, K] in fp64, each less β times its answer's k1: the penalty belongs in the reward, because as
    a loss k1 has no expected gradient (TRL issue 4967, arXiv 2512.21852)."""
    rewards = torch.tensor([group.rewards for group in groups], dtype=torch.float64)
    return rewards - beta * torch.stack([group.kl().cpu() for group in groups]) if beta else rewards


class Method(Protocol):
    """What a method makes of a rollout. Instances are frozen dataclasses of its hyper-parameters."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> BatchKind:
        """What the examples that it makes are."""

    @property
    def samples(self) -> int:
        """Fewest answers a prompt with which it works."""

    @property
    def greedy(self) -> bool:
        """Whether it needs the greedy answer."""

    @property
    def reads(self) -> tuple[Reading, ...]:
        """What it needs of the policy as it stood when it drew, besides log-probabilities."""

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """Training examples from the whole rollout (of all processes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """How answers are drawn.

    ``samples`` answers of up to ``max_tokens`` tokens are drawn for each prompt, always from the policy itself:
    at temperature 1 and without truncation, so that the log-probabilities of sampler and trainer mean the
    same. A rollout has the prompts of ``minibatches`` optimiser steps, and is gone through ``passes`` times.
    Training ends early when a rollout's KL to the starting model exceeds ``kl_budget`` nats an answer.
    """

    samples: int = 4
    max_tokens: int = 64
    minibatches: int = 1
    passes: int = 1
    kl_budget: float | None = None

    @property
    def updates(self) -> int:
        """Optimiser steps a rollout."""
        return self.minibatches * self.passes
