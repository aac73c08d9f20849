"""A reward model trained on preferences from the target's own weights, for treatments that choose by it."""

from typing import TYPE_CHECKING

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target
from trueline.training.config import TrainingConfig

if TYPE_CHECKING:
    from trueline.training.reward_model import TrainedReward


def trained_reward(
    target: Target, resources: Resources, *, learning_rate: float, epochs: float
) -> "TrainedReward":
    """Train a reward model on ``resources.preferences`` (or take the one trained before) and load it."""
    from trueline.training.data import preference_examples
    from trueline.training.objectives.reward import RewardObjective
    from trueline.training.reward_model import load_reward, value_model

    from .copies import codec_of, fresh_model, local
    from .trained import train_copy, within_window

    base = local(target, "a reward model")
    if not resources.preferences:
        raise InputError(
            "a reward model learns from preferences, but none were given: give resources.preferences."
        )
    config = within_window(
        TrainingConfig(learning_rate=learning_rate, epochs=epochs, seed=resources.seed), base
    )
    pad = base.tokenizer.pad_token_id
    folder, _ = train_copy(
        base,
        preference_examples(codec_of(base), tuple(resources.preferences), config.max_length),
        objective=RewardObjective(),
        config=config,
        treatment={"name": "reward", "version": "1"},
        resources=resources,
        build=lambda: value_model(
            fresh_model(base), pad_token=base.tokenizer.eos_token_id if pad is None else pad, seed=config.seed
        ),
    )
    return load_reward(folder)
