"""Safe RLHF: the most reward under a limit on expected cost (Dai et al. 2023, arXiv 2310.12773).

The policy learns from (r − λ c)/(1 + λ), by any estimator of advantages; λ rises while the mean cost is above the limit
d and falls below it (``training/lagrangian.py``). Reward, cost and λ stand in every line of the history. Example: r =
0.8, c = 1, λ = 1 give −0.1.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, RewardModel, Target

from .on_policy import OnPolicyTreatment
from .reward import trained_cost, usable

if TYPE_CHECKING:
    from trueline.training.groups import Method, RolloutConfig
    from trueline.training.lagrangian import Lagrangian
    from trueline.training.objectives.base import Objective

ESTIMATORS = ("rloo", "grpo", "remax", "reinforce_plus_plus", "ppo")


@dataclass(frozen=True, kw_only=True)
class SafeRLHF(OnPolicyTreatment):
    """``cost_limit`` d is the strength: the mean cost of an answer that is allowed.

    ``cost`` is "given" (``resources.cost``), "trained" (a cost model learns what ``resources.preferences`` say of
    safety, at the reward model's dials; a cost that was given is then watched, as ``gold_cost``), or the folder of a
    cost model, whose scores are above 0 for unsafe answers. ``estimator`` is rloo, grpo, remax,
    reinforce_plus_plus or ppo (the paper's), at the price ``beta`` of divergence. λ starts at ``multiplier`` and moves
    by ``multiplier_rate``; the paper's values.
    """

    estimator: str = "rloo"
    beta: float = 0.05
    cost: str = "given"
    cost_limit: float = 0.0
    multiplier: float = 1.0
    multiplier_rate: float = 0.1

    name: ClassVar[str] = "safe_rlhf"
    resources: ClassVar[tuple[str, ...]] = ("preferences", "reward", "cost")

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise InputError(f"estimator {self.estimator!r} is not known: give {', '.join(ESTIMATORS)}.")
        self._dials(None)
        super().__post_init__()

    @property
    def learns_reward(self) -> bool:
        """Whether a reward or a cost model is trained."""
        return "trained" in (self.reward, self.cost)

    def constraint(self, target: Target, resources: Resources) -> "Lagrangian":
        """The limit on the cost."""
        return self._dials(self._cost(target, resources))

    def method(self) -> "Method":
        """The estimator's."""
        return self._inner().method()

    def objective(self) -> "Objective":
        """The estimator's, under this method's name."""
        found: Any = self._inner().objective()
        named: Objective = replace(found, name=self.name)
        return named

    def rollout(self) -> "RolloutConfig":
        """The estimator's."""
        return self._inner().rollout()

    def _watched(self, resources: Resources, reward: RewardModel) -> dict[str, RewardModel]:
        watched = super()._watched(resources, reward)
        if self.cost != "given" and isinstance(resources.cost, RewardModel):
            watched["gold_cost"] = resources.cost
        return watched

    def _inner(self) -> OnPolicyTreatment:
        from .grpo import GRPO
        from .ppo import PPO
        from .reinforce_plus_plus import ReinforcePlusPlus
        from .remax import ReMax
        from .rloo import RLOO

        kinds: dict[str, type[OnPolicyTreatment]] = {
            kind.name: kind for kind in (RLOO, GRPO, ReMax, ReinforcePlusPlus, PPO)
        }
        kind = kinds[self.estimator]
        shared = {field.name for field in fields(OnPolicyTreatment)} | {"beta"}
        shared -= {"reward_learning_rate", "reward_epochs"}  # which may be the cost model's alone
        return kind(**{name: getattr(self, name) for name in shared})

    def _cost(self, target: Target, resources: Resources) -> RewardModel:
        if self.cost == "given":
            return usable(self.name, "cost", resources.cost)
        if self.cost == "trained":
            return trained_cost(
                target, resources, learning_rate=self.reward_learning_rate, epochs=self.reward_epochs
            )
        from trueline.training.reward_model import load_reward

        return load_reward(Path(self.cost))

    def _dials(self, cost: Any) -> "Lagrangian":
        from trueline.training.lagrangian import Lagrangian

        return Lagrangian(
            cost=cost, limit=self.cost_limit, initial=self.multiplier, rate=self.multiplier_rate
        )
