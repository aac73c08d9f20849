"""How to train: few dials, frozen, and the learning rate as a pure function of the step."""

import math
from dataclasses import dataclass
from typing import Literal

from trueline.core.errors import InputError

from .budget import ComputeBudget

Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["fp32", "bf16"]
CPU_PASS, ACCELERATOR_PASS = 1024, 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers but the head.

    An adapted layer computes Wx + (alpha / rank)·B·A·x; only A and B are trained.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"lora rank {self.rank} is not allowed: give a whole number of at least 1.")
        if not 0 <= self.dropout < 1:
            raise InputError(f"lora dropout {self.dropout} is not allowed: give a number in [0, 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The dials of a training run.

    ``batch_size`` counts examples (a pair is one) per optimiser step, over all processes; ``token_budget``
    bounds the tokens of one forward pass, and so the memory: an optimiser step is split into as many passes
    as it takes, which does not change its result. Left out it is 1,024 on a CPU, where larger passes are
    no faster (measured), and 8,192 elsewhere. ``steps`` overrides ``epochs``. ``warmup`` is the share of
    all steps over which the learning rate rises. With a ``budget`` the data are gone round until it is spent; the
    schedule follows the number of steps that it is seen to pay for. Weights are kept in fp32 at either
    precision; ``bf16`` runs the network under autocast. ``max_length`` is in tokens, prompt and answer together.
    """

    learning_rate: float = 1e-5
    schedule: Schedule = "linear"
    warmup: float = 0.1
    batch_size: int = 16
    token_budget: int | None = None
    epochs: float = 1.0
    steps: int | None = None
    max_length: int = 1024
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    precision: Precision = "fp32"
    lora: LoraConfig | None = None
    checkpoint_every: int = 50
    budget: ComputeBudget | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_length", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is not allowed: give at least 1.")
        for name in ("steps", "token_budget"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(
                    f"{name} {getattr(self, name)} is not allowed: give at least 1, or leave it out."
                )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"learning_rate {self.learning_rate} is not allowed: give a number above 0.")
        if not (math.isfinite(self.epochs) and self.epochs > 0):
            raise InputError(f"epochs {self.epochs} is not allowed: give a number above 0.")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"warmup {self.warmup} is not allowed: it is a share of all steps, in [0, 1].")
        if not self.max_grad_norm > 0:
            raise InputError(f"max_grad_norm {self.max_grad_norm} is not allowed: give a number above 0.")
        if self.budget is not None and self.steps is not None:
            raise InputError(
                f"steps {self.steps} and a budget of {self.budget.amount:g} {self.budget.currency} were both "
                "given: one of them says when to stop; leave the other out."
            )
        if self.weight_decay < 0:
            raise InputError(f"weight_decay {self.weight_decay} is not allowed: give 0 or more.")
        if self.schedule not in ("linear", "cosine", "constant"):
            raise InputError(f"schedule {self.schedule!r} is not known: give linear, cosine or constant.")
        if self.precision not in ("fp32", "bf16"):
            raise InputError(f"precision {self.precision!r} is not known: give fp32 or bf16.")

    def pass_tokens(self, device: str) -> int:
        """Tokens of one forward pass on a device of this type ("cpu", "cuda" ...)."""
        return self.token_budget or (CPU_PASS if device == "cpu" else ACCELERATOR_PASS)


def learning_rate_at(step: int, total: int, config: TrainingConfig) -> float:
    """The learning rate of step ``step`` in [0, total).

    Over w = ⌈warmup·total⌉ steps it rises as (step + 1)/w, so that the first step already learns; then it
    falls to zero linearly or as a half cosine, or stays.
    """
    rise = math.ceil(config.warmup * total)
    if step < rise:
        return config.learning_rate * (step + 1) / rise
    share = (step - rise) / max(1, total - rise)
    if config.schedule == "linear":
        return config.learning_rate * (1 - share)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    return config.learning_rate
