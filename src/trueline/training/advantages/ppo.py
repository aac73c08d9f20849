"""PPO's advantages: how much better each token was than the critic foresaw, by generalised advantage estimation.

Schulman et al. 2015 (arXiv 1506.02438, equation 16) with the rewards of Ziegler et al. 2019 (arXiv 1909.08593, section
2), in the form of Huang et al. 2024 (arXiv 2403.17031):

    r_t = −β (log π − log π₀)_t, and the answer's reward on top at its last token
    δ_t = r_t + γ V_{t+1} − V_t,   V after the last token = 0
    A_t = Σ_{l≥0} (γλ)^l δ_{t+l},  return_t = A_t + V_t: what the critic learns
Advantages are then whitened once over all tokens of the rollout, returns are not. λ = 1 gives the whole remaining
reward less V_t, λ = 0 the one-step error. An answer cut at its longest length is taken to end there.

Legend: T tokens of an answer; V_t is the value of the state *before* token t.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.training.batches import BatchKind, Example
from trueline.training.dials import at_least_zero
from trueline.training.groups import ADVANTAGES, Group
from trueline.training.readings import TOKEN_VALUES, Reading

from .reinforce_plus_plus import normalised

RETURNS, VALUES = "returns", "values"


def token_rewards(reward: float, kl: Tensor, beta: float) -> Tensor:
    """−β kl_t for each token, and the answer's reward at the last: [T] in, [T] out."""
    rewards = -beta * kl
    rewards[-1:] += reward
    return rewards


def generalized_advantages(rewards: Tensor, values: Tensor, *, gamma: float, lam: float) -> Tensor:
    """A_t from rewards [T] and values [T]."""
    following = torch.cat([values[1:], values.new_zeros(1)])
    found = rewards + gamma * following - values
    for t in reversed(range(len(found) - 1)):
        found[t] += gamma * lam * found[t + 1]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralizedAdvantages:
    """``beta`` prices each nat of divergence in reward; ``lam`` is λ, ``gamma`` the discount."""

    beta: float = 0.05
    gamma: float = 1.0
    lam: float = 0.95

    name: ClassVar[str] = "ppo"
    kind: ClassVar[BatchKind] = "groups"
    samples: ClassVar[int] = 1
    greedy: ClassVar[bool] = False
    reads: ClassVar[tuple[Reading, ...]] = (TOKEN_VALUES,)

    def __post_init__(self) -> None:
        at_least_zero(self.name, beta=self.beta)
        if not (0 < self.gamma <= 1 and 0 <= self.lam <= 1):
            raise InputError(
                f"gamma {self.gamma} with lambda {self.lam} is not allowed: give a discount in (0, 1] and a lambda "
                "in [0, 1]."
            )

    def examples(self, groups: Sequence[Group]) -> list[Example]:
        """One example a prompt, with an advantage, a return and the critic's old value a token."""
        found = [self._found(group) for group in groups]
        whitened = iter(normalised([advantages for rows in found for advantages, _ in rows]))
        return [
            group.example(
                given={
                    ADVANTAGES: [next(whitened).float() for _ in rows],
                    RETURNS: [(advantages + values).float() for advantages, values in rows],
                    VALUES: group.values or (),
                }
            )
            for group, rows in zip(groups, found)
        ]

    def _found(self, group: Group) -> list[tuple[Tensor, Tensor]]:
        """Advantages and values [T] of each answer, in fp64."""
        assert group.values is not None, "a rollout reads what its method asks for"
        rows = []
        answers = zip(group.rewards, group.old, group.reference, group.values)
        for reward, old, reference, values in answers:
            rewards = token_rewards(reward, (old - reference).double(), self.beta)
            wide = values.double()
            rows.append((generalized_advantages(rewards, wide, gamma=self.gamma, lam=self.lam), wide))
        return rows
