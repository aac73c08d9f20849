"""The reward that a treatment works with: given, trained on preferences from the target's own weights, or a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, RewardModel, Target
from trueline.training.budget import NOTHING, Spent

from .reward_training import EPOCHS, LEARNING_RATE, CostTraining, RewardTraining

if TYPE_CHECKING:
    from trueline.training.reward_model import TrainedReward


def reward_resources(reward: str) -> tuple[str, ...]:
    """What a reward named "given", "trained" or by its folder takes from the resources."""
    return {"given": ("reward",), "trained": ("preferences",)}.get(reward, ())


def check_reward_dials(method: str, learns: bool, **dials: float | None) -> None:
    """InputError where a dial of the reward model's training is set and none is trained."""
    for name, value in dials.items():
        if value is not None and not learns:
            raise InputError(
                f"{method} trains no reward model here, so {name} {value:g} is not used: leave it out, or set "
                "reward='trained'."
            )


def find_reward(
    method: str,
    reward: str,
    target: Target,
    resources: Resources,
    *,
    learning_rate: float | None,
    epochs: float | None,
) -> RewardModel:
    """The reward of that name. Raises InputError where there is none that can be used."""
    if reward == "trained":
        return trained_reward(target, resources, learning_rate=learning_rate, epochs=epochs)
    if reward != "given":
        from trueline.training.reward_model import load_reward

        return load_reward(Path(reward))
    return usable(method, "reward", resources.reward)


def usable(method: str, what: str, given: Any) -> RewardModel:
    """A reward or cost that the user gave; InputError where it is none."""
    if given is None:
        raise InputError(
            f"{method} needs a {what}: give resources.{what}, (prompt, answers) -> a number for each answer, or "
            f"{what}='trained', or the folder of a {what} model."
        )
    if not isinstance(given, RewardModel):
        raise InputError(
            f"{method} cannot use the {what} {given!r}: it must be callable with (prompt, answers) "
            "and have fingerprint(), so that results under another one are never taken for these."
        )
    return given


def trained_reward(
    target: Target, resources: Resources, *, learning_rate: float | None, epochs: float | None
) -> "TrainedReward":
    """Train a reward model on ``resources.preferences`` (or take the one trained before) and load it."""
    return _trained(RewardTraining, target, resources, learning_rate, epochs)


def trained_cost(
    target: Target, resources: Resources, *, learning_rate: float | None, epochs: float | None
) -> "TrainedReward":
    """Train a cost model on what ``resources.preferences`` say of safety (or take the one trained before) and load
    it; its costs are above 0 for unsafe answers."""
    return _trained(CostTraining, target, resources, learning_rate, epochs)


def _trained(
    kind: type[RewardTraining],
    target: Target,
    resources: Resources,
    learning_rate: float | None,
    epochs: float | None,
) -> "TrainedReward":
    from trueline.training.reward_model import load_reward

    training = kind(
        learning_rate=LEARNING_RATE if learning_rate is None else learning_rate,
        epochs=EPOCHS if epochs is None else epochs,
    )
    folder, manifest = training.train(target, resources)
    return load_reward(folder, took=Spent.of(manifest["training"]))


def reward_training(*rewards: Any) -> Spent:
    """What training these rewards and costs took here: nothing for those that were given."""
    return sum((getattr(reward, "took", NOTHING) for reward in rewards), NOTHING)
