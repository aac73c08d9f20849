"""The dials of a training: those of every trained treatment, and of a reward or cost model's training."""

from collections.abc import Mapping
from dataclasses import dataclass

from trueline.core.errors import InputError
from trueline.training.budget import budget_of
from trueline.training.config import LoraConfig, Precision, Schedule, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class TrainingDials:
    """``steps`` overrides ``epochs``. ``lora`` trains low-rank adapters of rank ``lora_rank`` (8 where left out)
    instead of all weights. ``max_length`` is in tokens, and never beyond the model's window. The seed of the
    data's order is ``resources.seed``. ``budget`` is {"flops": n}, {"tokens": n} or {"seconds": n}: the data
    are gone round until it is spent, the passes of a reference, a teacher and the rollouts included, and the
    training of a reward or cost model that the method learns from.
    """

    learning_rate: float
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 16
    warmup: float = 0.1
    schedule: Schedule = "linear"
    weight_decay: float = 0.0
    max_length: int = 1024
    precision: Precision = "fp32"
    lora: bool = False
    lora_rank: int | None = None
    budget: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.lora_rank is not None and not self.lora:
            raise InputError(
                f"lora_rank {self.lora_rank} was given without lora: set lora, or leave the rank out."
            )
        self.config(0)

    def config(self, seed: int) -> TrainingConfig:
        """The training configuration."""
        rank = 8 if self.lora_rank is None else self.lora_rank
        budget = None if self.budget is None else budget_of(self.budget)
        return TrainingConfig(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            batch_size=self.batch_size,
            epochs=self.epochs,
            steps=self.steps,
            max_length=self.max_length,
            weight_decay=self.weight_decay,
            seed=seed,
            precision=self.precision,
            lora=LoraConfig(rank=rank, alpha=2.0 * rank) if self.lora else None,
            budget=budget,
        )
