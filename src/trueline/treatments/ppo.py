"""PPO with a value head (Schulman et al. 2017, arXiv 1707.06347; as Huang et al. 2024, arXiv 2403.17031, have it).

Each token's advantage is what a critic, a one-number head on the policy's own body, did not foresee of the rewards to
come; divergence from the target is paid for token by token. A rollout is gone through several times, which the clipped
ratio makes safe. Example: rewards (0, 1) and values (0.5, 0.6) at λ = 0.95 give (0.48, 0.4) before they are whitened.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trueline.core.errors import InputError

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method, RolloutConfig
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class PPO(OnPolicyTreatment):
    """``beta`` is the strength: the price of a nat of divergence in reward; the smaller, the further it goes.

    A rollout has the prompts of ``minibatches`` optimiser steps and is gone through ``passes`` times; ``steps`` counts
    optimiser steps, ``epochs`` times that every prompt is answered. ``value_weight`` is the weight of the critic's
    loss. Defaults are those of 2403.17031; a small model needs a larger learning rate.
    """

    learning_rate: float = 3e-6
    samples: int = 1
    beta: float = 0.05
    gae_lambda: float = 0.95
    epsilon: float = 0.2
    value_weight: float = 0.1
    minibatches: int = 1
    passes: int = 4

    name: ClassVar[str] = "ppo"

    def __post_init__(self) -> None:
        for name in ("minibatches", "passes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is not allowed: give at least 1.")
        super().__post_init__()

    def rollout(self) -> "RolloutConfig":
        """Several updates a rollout."""
        from trueline.training.groups import RolloutConfig

        return RolloutConfig(
            samples=self.samples,
            max_tokens=self.max_tokens,
            minibatches=self.minibatches,
            passes=self.passes,
            kl_budget=self.kl_budget,
        )

    def method(self) -> "Method":
        """A_t = Σ (γλ)^l δ_{t+l}."""
        from trueline.training.advantages.ppo import GeneralizedAdvantages

        return GeneralizedAdvantages(beta=self.beta, lam=self.gae_lambda)

    def objective(self) -> "Objective":
        """−A_t times the clipped ratio of each token, and the critic's clipped error."""
        from trueline.training.objectives.ppo import PPOObjective

        return PPOObjective(epsilon=self.epsilon, value_weight=self.value_weight)
