"""Interventions on the residual stream: add a vector after one layer, or ablate a direction everywhere.

    add      h ← h + scale · v          after layer l, at every token (2312.06681, section 3; 2406.11717, eq. 3)
    ablate   h ← h − scale · r̂ r̂ᵀh      at every place of the residual stream and every token (2406.11717, eq. 4)

Both act on every token alike, wherever it stands in a row and whether its keys come from a cache, so a steered
request gives the same numbers alone, in a batch, and interleaved with plain ones. (The paper on contrastive
activation addition spares the prompt's tokens.)

Shapes: D hidden units.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from trueline.core.fingerprint import fingerprint
from trueline.models.forward.layers import check_layers, layers_of

from .hooks import everywhere_changed, outputs_changed


@dataclass(frozen=True, kw_only=True, eq=False)
class AddVector:
    """h ← h + scale · vector after layer ``layer``; ``vector`` is [D]."""

    vector: Tensor
    layer: int
    scale: float = 1.0

    @cached_property
    def key(self) -> str:
        """A digest of vector, layer and scale."""
        return fingerprint({"add": digest(self.vector), "layer": self.layer, "scale": self.scale})

    @contextmanager
    def entered(self, module: Any) -> Iterator[None]:
        """The module with the vector added."""
        check_layers(module, [self.layer])
        with outputs_changed(layers_of(module)[self.layer], lambda h: h + self.scale * self.vector.to(h)):
            yield


@dataclass(frozen=True, kw_only=True, eq=False)
class AblateDirection:
    """h ← h − scale · r̂ r̂ᵀh everywhere; ``direction`` is [D], of any length but zero."""

    direction: Tensor
    scale: float = 1.0

    @cached_property
    def key(self) -> str:
        """A digest of direction and scale."""
        return fingerprint({"ablate": digest(self.direction), "scale": self.scale})

    @contextmanager
    def entered(self, module: Any) -> Iterator[None]:
        """The module without the direction."""
        with everywhere_changed(module, lambda h: ablated(h, self.direction, scale=self.scale)):
            yield


def ablated(states: Tensor, direction: Tensor, *, scale: float = 1.0) -> Tensor:
    """h − scale · r̂ r̂ᵀh: ``states`` [..., D] without their part along ``direction`` [D]."""
    unit = (direction / direction.norm()).to(states)
    without: Tensor = states - scale * (states @ unit)[..., None] * unit
    return without


def digest(vector: Tensor) -> str:
    """A digest of a vector's numbers."""
    return fingerprint(vector.double().tolist())
