"""What an objective reads from the network; all of an objective's readings share one forward pass.

    LOGPS         log π of the answer's tokens, [T] in nats
    ENTROPY       of the distributions they are drawn from, [T] in nats, without gradient
    TOKEN_VALUES  a value head at the positions that predict them, [T]
    REWARD        a value head at the answer's last token, [1]
    States(...)   hidden states after inner layers at the answer's own tokens, [T, layers, D]

A reading is an object: to read something else, write a class with these five members. What it needs besides
the network (a teacher's hidden states, say) comes with the examples under a name (``Example.given``, one
tensor [T, ...] a branch) and arrives aligned with the positions.

Shapes: P positions of all branches of a batch, T tokens of one branch, D hidden units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.forward.layers import check_layers
from trueline.models.forward.paths import head_of
from trueline.models.forward.readers import Reader, entropy_without_gradient, log_probability
from trueline.models.forward.visiting import Place, Seen

__all__ = ["ENTROPY", "LOGPS", "REWARD", "TOKEN_VALUES", "LogitReading", "Place", "Reading", "Seen", "States",
       "ValueReading", "names_of", "value_head"]  # fmt: skip


class Reading(Protocol):
    """One thing to read, and where: before each token, at it, or at the answer's last (``models.visiting``)."""

    @property
    def name(self) -> str:
        """Under which an objective finds it."""

    @property
    def place(self) -> Place: ...

    @property
    def layers(self) -> tuple[int, ...]:
        """Inner layers that it looks at; none: it looks at the last hidden states."""

    def check(self, model: nn.Module) -> None:
        """Raise InputError where the model cannot be read so; find out now what takes a probe."""

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Any:
        """A tensor [P, ...] (or a tuple of such); ``given`` has [P, ...] of each name the examples carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitReading:
    """A number for each token from its logits (``models.readers``); several share one computation of them."""

    name: str
    reader: Reader

    place: ClassVar[Place] = "predicting"
    layers: ClassVar[tuple[int, ...]] = ()

    def check(self, model: nn.Module) -> None:
        """The model needs a language-model head."""
        head_of(model)

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Any:
        """By itself; ``scoring`` reads several together."""
        from trueline.models.forward.heads import read_hidden

        return read_hidden(head_of(model), seen.hidden, seen.targets, (self.reader,))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueReading:
    """A one-number head, in at least fp32: values are compared by small differences."""

    name: str
    place: Place

    layers: ClassVar[tuple[int, ...]] = ()

    def check(self, model: nn.Module) -> None:
        """The model needs a value head."""
        value_head(model)

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Tensor:
        """Values [P]."""
        values: Tensor = value_head(model)(seen.hidden)[:, 0]
        return values.float() if values.dtype.itemsize < 4 else values


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Hidden states after each of ``layers`` (0 is the first) at the answer's own tokens: [P, layers, D].

    Where nothing else is read, the forward pass ends at the deepest of them.
    """

    layers: tuple[int, ...]

    name: ClassVar[str] = "states"
    place: ClassVar[Place] = "own"

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("no layer was named: give the inner layers whose hidden states are to be read.")

    def check(self, model: nn.Module) -> None:
        """The model needs these layers."""
        check_layers(model, self.layers)

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Tensor:
        """[P, layers, D], with gradients."""
        return torch.stack([seen.inner[layer] for layer in self.layers], dim=1)


LOGPS = LogitReading(name="logps", reader=log_probability)
ENTROPY = LogitReading(name="entropy", reader=entropy_without_gradient)
TOKEN_VALUES = ValueReading(name="token_values", place="predicting")
REWARD = ValueReading(name="reward", place="last")


def value_head(model: nn.Module) -> nn.Module:
    """The one-number head: a critic's beside a language-model head, or a sequence classifier's."""
    critic = getattr(model, "value_head", None)
    if isinstance(critic, nn.Module):
        return critic
    head = getattr(model, "score", None)
    if not isinstance(head, nn.Module) or getattr(model.config, "num_labels", None) != 1:
        raise InputError(
            f"{type(model).__name__} has no value head with one output; load the reward model with "
            "AutoModelForSequenceClassification and num_labels=1."
        )
    return head


def names_of(reads: tuple[Reading, ...]) -> list[str]:
    """The readings' names; two of one name are refused."""
    names = [reading.name for reading in reads]
    if not names or len(set(names)) < len(names):
        raise InputError(f"an objective reads {names}: it must read something, and each under its own name.")
    return names
