"""Changes to the residual stream of a transformers decoder while it runs.

The stream is read in three places: after the embeddings, after each layer, and within a layer after its attention,
where the norm before its MLP reads it.

Shapes: B rows, T tokens, D hidden units.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.forward.layers import layers_of
from trueline.models.forward.paths import unwrap

# the norm whose input is the sum after attention; Gemma's first, whose layers have both
_BEFORE_MLP = ("pre_feedforward_layernorm", "post_attention_layernorm", "ln_2")

Change = Callable[[Tensor], Tensor]


def norm_before_mlp(layer: nn.Module) -> nn.Module:
    """The module that reads the residual stream after the layer's attention."""
    for name in _BEFORE_MLP:
        if isinstance(found := getattr(layer, name, None), nn.Module):
            return found
    raise InputError(
        f"a {type(layer).__name__} has none of {', '.join(_BEFORE_MLP)}, so what its MLP reads cannot be changed."
    )


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
