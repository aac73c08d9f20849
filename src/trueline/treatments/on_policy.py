"""What treatments share that learn from the target's own answers: prompts, a reward, rollouts on the one loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation, Prompt
from trueline.core.protocols import Resources, RewardModel, Target
from trueline.data.preferences import prompt_of
from trueline.judges.refusal import RefusalPatterns, refusal_pattern

from .reward import check_reward_dials, find_reward, reward_training
from .trained import Feed, TrainedTreatment, on_cpu, refuse_sharded, train_folder, within_window

if TYPE_CHECKING:
    from trueline.training.groups import Method, RolloutConfig
    from trueline.training.lagrangian import Lagrangian


class Refused:
    """1 where an answer opens like a refusal: watched, never rewarded."""

    def fingerprint(self) -> str:
        """That of the patterns."""
        return RefusalPatterns().fingerprint()

    def __call__(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        return [float(refusal_pattern(answer) is not None) for answer in answers]


@dataclass(frozen=True, kw_only=True)
class OnPolicyTreatment(TrainedTreatment):
    """Draws ``samples`` answers of up to ``max_tokens`` tokens to each prompt, and learns by their rewards.

    The prompts are ``resources.prompts``, or those of ``resources.preferences``. ``reward`` is "trained" (a reward
    model is trained on those preferences from the target's own weights, at ``reward_learning_rate`` for
    ``reward_epochs``, 1e-5 and 1 where left out), "given" (``resources.reward``), or the folder of a reward model.
    ``batch_size`` counts prompts. Training ends early where the divergence from the target exceeds ``kl_budget``
    nats an answer.
    Every line of the history has reward, KL, entropy, length, repetition and refusals; and the reward that was
    given, as ``gold``, where another one is learnt from.
    """

    learning_rate: float = 1e-6
    samples: int = 4
    max_tokens: int = 64
    reward: str = "trained"
    reward_learning_rate: float | None = None
    reward_epochs: float | None = None
    kl_budget: float | None = None

    resources: ClassVar[tuple[str, ...]] = ("preferences", "reward")
    shards: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kl_budget is not None and not self.kl_budget > 0:
            raise InputError(
                f"kl_budget {self.kl_budget} is not allowed: give nats above 0, or leave it out."
            )
        check_reward_dials(
            self.name,
            self.learns_reward,
            reward_learning_rate=self.reward_learning_rate,
            reward_epochs=self.reward_epochs,
        )
        self.rollout()
        self.method()
        self.objective()

    @property
    def learns_reward(self) -> bool:
        """Whether a reward model, or one like it, is trained."""
        return self.reward == "trained"

    @property
    def prompts_only(self) -> bool:
        """Whether the answers of its data are not read."""
        return not self.learns_reward

    def method(self) -> "Method":
        """What is made of a rollout."""
        raise NotImplementedError

    def rollout(self) -> "RolloutConfig":
        """How answers are drawn."""
        from trueline.training.groups import RolloutConfig

        return RolloutConfig(samples=self.samples, max_tokens=self.max_tokens, kl_budget=self.kl_budget)

    def constraint(self, target: Target, resources: Resources) -> "Lagrangian | None":
        """A limit on a cost, where the method has one."""
        return None

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target with trained weights. Raises InputError without a local model, prompts or a reward."""
        from trueline.training.history import thinned
        from trueline.training.rollouts import Rollouts, prompts_digest
        from trueline.training.vllm_generating import usual_generator

        from .copies import codec_of, fresh_model, local, trained_target

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        prompts, constraint = prompts_of(self.name, resources), self.constraint(target, resources)
        config = within_window(self.config(resources.seed), base)
        reward = find_reward(
            self.name,
            self.reward,
            target,
            resources,
            learning_rate=self.reward_learning_rate,
            epochs=self.reward_epochs,
        )

        rollouts = Rollouts(
            prompts=prompts,
            speech=codec_of(base),
            reward=reward,
            method=self.method(),
            config=self.rollout(),
            batch_size=config.batch_size,
            max_length=config.max_length,
            epochs=config.epochs,
            limit=config.steps,
            seed=config.seed,
            watch=self._watched(resources, reward),
            constraint=constraint,
            generator=usual_generator(cpu=on_cpu(base)),
        )
        spent = reward_training(reward, None if constraint is None else constraint.cost)
        limits = None if constraint is None else constraint.settings()
        draws = rollouts.generator.fingerprint()
        data = {
            "digest": fingerprint([prompts_digest(prompts), reward.fingerprint(), limits, draws]),
            "prompts": len(prompts),
            "left out": rollouts.too_long,
            "reward": reward.fingerprint(),
        }
        folder, manifest = train_folder(
            base,
            lambda model: Feed(batches=rollouts, spent=spent),
            data=data,
            objective=self.objective(),
            config=config,
            treatment=self.settings(),
            resources=resources,
            build=lambda: fresh_model(base),
            name=self.name,
        )
        provenance = {
            "treatment": self.settings(),
            "training": manifest["training"],
            "data": manifest["data"],
            "curve": thinned(manifest["history"]),
        }
        return trained_target(base, folder, method=self.name, provenance=provenance)

    def _watched(self, resources: Resources, reward: RewardModel) -> dict[str, RewardModel]:
        watched: dict[str, RewardModel] = {"refused": Refused()}
        if isinstance(resources.reward, RewardModel) and resources.reward is not reward:
            watched["gold"] = resources.reward
        return watched


def prompts_of(method: str, resources: Resources) -> tuple[Conversation, ...]:
    """The prompts given, or those of the preferences, each once. Raises InputError where there is none."""
    given: Sequence[Any] = resources.prompts or [
        prompt_of(pair, index) for index, pair in enumerate(resources.preferences or ())
    ]
    if not given:
        raise InputError(
            f"{method} answers prompts, but none were given: give resources.prompts or resources.preferences."
        )
    return tuple(dict.fromkeys(given))
