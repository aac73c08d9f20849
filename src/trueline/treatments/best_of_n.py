"""Best-of-n: draw n answers, deliver the one that a reward prefers (Nakano et al. 2021, arXiv 2112.09332).

What it costs in divergence is bounded: KL(best-of-n ‖ base) ≤ log n − (n − 1)/n (Beirami et al. 2024, arXiv
2401.01879).
Example: n = 4, rewards (0.2, 0.9, 0.9, 0.1) → the second answer (the first of equals).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from inspect import isawaitable
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling
from trueline.core.protocols import Capability, Resources, RewardModel, Target

from .wrapping import WrappedTarget


def best_of_n_kl(n: int) -> float:
    """The upper bound log n − (n − 1)/n on KL(best-of-n ‖ base), in nats."""
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Delivers the best of ``n`` answers by a reward.

    ``reward`` is "given" (``resources.reward``), "trained" (a reward model is trained on
    ``resources.preferences`` from the target's own weights, at ``reward_learning_rate`` for
    ``reward_epochs``, 1e-5 and 1 where left out), or the folder of a reward model (transformers sequence
    classification, one label).
    Greedy answers are all the same, so a greedy request is drawn at ``temperature``; other requests keep
    their own. Raw text has no answer to judge and passes unchanged.
    """

    n: int = 4
    temperature: float = 1.0
    reward: str = "given"
    reward_learning_rate: float | None = None
    reward_epochs: float | None = None

    name: ClassVar[str] = "best_of_n"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})

    @property
    def resources(self) -> tuple[str, ...]:
        """What it takes from the resources."""
        from .reward import reward_resources

        return reward_resources(self.reward)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"best_of_n with n={self.n} is not allowed: give a whole number of at least 1.")
        if not self.temperature > 0:
            raise InputError(
                f"best_of_n with temperature {self.temperature} is not allowed: greedy answers are "
                "all the same; give a number above 0."
            )
        from .reward import check_reward_dials

        check_reward_dials(
            self.name,
            self.reward == "trained",
            reward_learning_rate=self.reward_learning_rate,
            reward_epochs=self.reward_epochs,
        )

    def fingerprint(self) -> str:
        """A digest of the dials (the reward's own enters the treated target's)."""
        return fingerprint({"treatment": self.name, "version": self.version, **asdict(self)})

    def apply(self, target: Target, resources: Resources) -> Target:
        """The target behind the choice. Raises InputError without a usable reward."""
        from .reward import find_reward

        reward = find_reward(
            self.name,
            self.reward,
            target,
            resources,
            learning_rate=self.reward_learning_rate,
            epochs=self.reward_epochs,
        )
        return BestOfNTarget(target, self, reward)


class BestOfNTarget(WrappedTarget):
    """A target whose every answer is the best of n.

    ``score`` is that of the target inside: the likelihood under best-of-n has no closed form, so measures
    that compare likelihoods see no change, as there is none in the weights.
    """

    def __init__(self, inner: Target, treatment: BestOfN, reward: RewardModel) -> None:
        from .reward import reward_training

        settings = {
            "n": treatment.n,
            "temperature": treatment.temperature,
            "reward": reward.fingerprint(),
            "samples_per_answer": treatment.n,
            "kl_bound": best_of_n_kl(treatment.n),
        }
        # by whatever way a reward was found, the same reward chooses the same answers
        key = fingerprint([treatment.name, treatment.version, settings])
        super().__init__(inner, treatment=treatment.name, settings=settings, key=key)
        self.reward = reward
        self._training = asdict(reward_training(reward))
        self._n, self._temperature = treatment.n, treatment.temperature

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those passed on, but ``score`` is not the likelihood of what is delivered."""
        return super().capabilities - {Capability.LIKELIHOOD}

    def describe(self) -> Mapping[str, Any]:
        """The inner target's provenance, the treatment, and what training its reward model took."""
        told = dict(super().describe())
        if any(self._training.values()):
            earlier = told.get("training") or {}
            told["training"] = {n: value + earlier.get(n, 0.0) for n, value in self._training.items()}
        return told

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """``sampling.samples`` answers, each the best of its own n draws."""
        if isinstance(prompt, str):
            return await self.inner.generate(prompt, sampling)
        temperature = sampling.temperature or self._temperature
        drawn = await self.inner.generate(
            prompt, replace(sampling, samples=sampling.samples * self._n, temperature=temperature)
        )
        rewards = await self._score_all(prompt, [completion.text for completion in drawn])
        groups = range(0, len(drawn), self._n)
        return tuple(drawn[max(range(i, i + self._n), key=lambda k: (rewards[k], -k))] for i in groups)

    async def _score_all(self, prompt: Prompt, answers: Sequence[str]) -> Sequence[float]:
        given = self.reward(prompt, answers)
        rewards = [float(value) for value in (await given if isawaitable(given) else given)]
        if len(rewards) != len(answers) or not all(map(math.isfinite, rewards)):
            raise InputError(
                f"the reward gave {rewards} for {len(answers)} answers: it must give a finite one for each."
            )
        return rewards
