"""The layers of a transformers decoder and the residual stream that runs through them.

The residual stream *after layer l* is what layer l returns, l = 0 … L − 1. It has two more places in a
layer: what the layer reads, and the sum after its attention, which the norm before its MLP reads.

Shapes: B rows, T tokens, D hidden units.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.paths import unwrap

# the norm whose input is the sum after attention; Gemma's first, whose layers have both
_BEFORE_MLP = ("pre_feedforward_layernorm", "post_attention_layernorm", "ln_2")

Change = Callable[[Tensor], Tensor]


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The decoder's layers. Raises InputError where they cannot be told."""
    inner = unwrap(model)
    count = int(inner.config.get_text_config().num_hidden_layers)
    for module in inner.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise InputError(f"{type(inner).__name__} shows no list of its {count} layers, so none can be hooked.")


def norm_before_mlp(layer: nn.Module) -> nn.Module:
    """The module that reads the residual stream after the layer's attention."""
    for name in _BEFORE_MLP:
        if isinstance(found := getattr(layer, name, None), nn.Module):
            return found
    raise InputError(
        f"a {type(layer).__name__} has none of {', '.join(_BEFORE_MLP)}, so what its MLP reads cannot be changed."
    )


def check_layer(layer: int, count: int) -> None:
    """InputError for a layer that the model does not have."""
    if not 0 <= layer < count:
        raise InputError(f"layer {layer} is not there: this model has {count}, numbered 0 to {count - 1}.")


@contextmanager
def outputs_changed(module: nn.Module, change: Change) -> Iterator[None]:
    """What the module returns (the first of several things) is changed while this is open."""

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        return change(output) if isinstance(output, Tensor) else (change(output[0]), *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def inputs_changed(module: nn.Module, change: Change) -> Iterator[None]:
    """The first thing that the module reads is changed while this is open."""

    def hook(_: nn.Module, given: tuple[Any, ...]) -> Any:
        return (change(given[0]), *given[1:])

    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def everywhere_changed(model: nn.Module, change: Change) -> Iterator[None]:
    """Every activation of the residual stream is changed: embeddings, after each attention, after each layer."""
    with ExitStack() as stack:
        stack.enter_context(outputs_changed(unwrap(model).get_input_embeddings(), change))
        for layer in layers_of(model):
            stack.enter_context(inputs_changed(norm_before_mlp(layer), change))
            stack.enter_context(outputs_changed(layer, change))
        yield


class _Seen(Exception):
    """The last wanted layer has run."""


@contextmanager
def watched(model: nn.Module, wanted: tuple[int, ...], *, stop: bool) -> Iterator[dict[int, Tensor]]:
    """Keeps what the wanted layers return, [B, T, D] each; with ``stop`` nothing after the last of them runs."""
    layers = layers_of(model)
    kept: dict[int, Tensor] = {}
    for layer in wanted:
        check_layer(layer, len(layers))

    with ExitStack() as stack:
        for number in wanted:

            def keep(states: Tensor, number: int = number) -> Tensor:
                kept[number] = states
                if stop and number == max(wanted):
                    raise _Seen
                return states

            stack.enter_context(outputs_changed(layers[number], keep))
        with suppress(_Seen):
            yield kept
