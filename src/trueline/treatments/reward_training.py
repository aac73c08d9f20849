"""Training a reward or cost model from preference pairs, from a target's own weights (Ouyang et al. 2022, arXiv
2203.02155, equation 1; Dai et al. 2023, arXiv 2310.12773, equation 6).

It is no treatment, as nothing answers with it: what comes out is a folder that others take as their ``reward`` or
``cost``. Example: ``trueline align ./model --method reward --data pairs.jsonl``, and then ``trueline align ./model
--method rloo --data pairs.jsonl --set reward=FOLDER``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Capability, Resources, Target

from .training_dials import TrainingDials

if TYPE_CHECKING:
    from trueline.training.codec import Codec
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective

LEARNING_RATE, EPOCHS = 1e-5, 1.0  # where left out


@dataclass(frozen=True, kw_only=True)
class RewardTraining(TrainingDials):
    """A reward model: Bradley–Terry on ``resources.preferences``, with the margin that a pair's meta may have."""

    learning_rate: float = LEARNING_RATE
    epochs: float = EPOCHS

    name: ClassVar[str] = "reward"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GRADIENTS})
    resources: ClassVar[tuple[str, ...]] = ("preferences",)
    shards: ClassVar[bool] = True

    def objective(self) -> "Objective":
        """−log σ(r(y⁺) − r(y⁻) − m)."""
        from trueline.training.objectives.reward import RewardObjective

        return RewardObjective()

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Pairs as trees with two branches."""
        from trueline.training.data import preference_examples

        return preference_examples(codec, data, max_length)

    def train(self, target: Target, resources: Resources) -> tuple[Path, dict[str, Any]]:
        """The model's folder and manifest, of a complete one as they are. Raises InputError without a local model or
        pairs."""
        from trueline.training.reward_model import value_model

        from .copies import codec_of, fresh_model, local
        from .trained import train_copy, within_window

        what = f"a {self.name} model"
        base = local(target, what)
        if not resources.preferences:
            raise InputError(
                f"{what} learns from preferences, but none were given: give resources.preferences."
            )
        config = within_window(self.config(resources.seed), base)
        pad = base.tokenizer.pad_token_id
        return train_copy(
            base,
            self.prepare(codec_of(base), tuple(resources.preferences), config.max_length),
            objective=self.objective(),
            config=config,
            treatment={"name": self.name, "version": "1"},  # its dials are in the configuration
            resources=resources,
            build=lambda: value_model(
                fresh_model(base),
                pad_token=base.tokenizer.eos_token_id if pad is None else pad,
                seed=config.seed,
            ),
            sharded=resources.sharded,
        )


@dataclass(frozen=True, kw_only=True)
class CostTraining(RewardTraining):
    """A cost model, above 0 for unsafe answers: it learns what ``resources.preferences`` say of safety."""

    name: ClassVar[str] = "cost"

    def objective(self) -> "Objective":
        """−log σ(c(less safe) − c(safer)) − Σ log σ(s c(y))."""
        from trueline.training.objectives.cost import CostObjective

        return CostObjective()

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """Pairs with the safety of both answers."""
        from trueline.training.data import safety_examples

        return safety_examples(codec, data, max_length)
