"""The layers of a transformers decoder, watched while it runs.

Layer l of L (0 … L − 1) returns the residual stream after it.

Shapes: R rows, L columns, D hidden units.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from torch import Tensor, nn

from trueline.core.errors import InputError

from .last_layer import decoder_layers
from .paths import unwrap


class _ReachedError(Exception):
    """The last layer that was asked for has run."""


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The decoder's layers. Raises InputError where they cannot be told."""
    inner = unwrap(model)
    found = decoder_layers(inner)
    if found is None:
        count = inner.config.get_text_config().num_hidden_layers
        raise InputError(
            f"{type(inner).__name__} shows no list of its {count} layers, so none can be watched."
        )
    return found


def check_layers(model: nn.Module, wanted: Sequence[int]) -> None:
    """InputError for a layer that the model does not have."""
    count = len(layers_of(model))
    for layer in wanted:
        if not 0 <= layer < count:
            raise InputError(
                f"layer {layer} is not there: this model has {count}, numbered 0 to {count - 1}: give one of these."
            )


@contextmanager
def watched(model: nn.Module, wanted: Sequence[int], *, stop: bool = False) -> Iterator[dict[int, Tensor]]:
    """Keeps what the wanted layers return, [R, L, D] each, of what runs within; with ``stop`` nothing after
    the last of them runs, and the block ends there."""
    check_layers(model, wanted)
    kept: dict[int, Tensor] = {}
    layers = layers_of(model)
    with ExitStack() as stack:
        for number in wanted:

            def keep(_: nn.Module, __: Any, output: Any, number: int = number) -> None:
                kept[number] = output if isinstance(output, Tensor) else output[0]
                if stop and number == max(wanted):
                    raise _ReachedError

            stack.callback(layers[number].register_forward_hook(keep).remove)
        with suppress(_ReachedError):
            yield kept
