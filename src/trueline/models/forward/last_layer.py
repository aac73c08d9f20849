"""The last layer's MLP, computed for the tokens that are read and for no others.

An MLP works token by token, and what the last layer adds to a token is seen by nothing but the head: for the tokens of
a prompt, nobody. On a model of six layers whose pairs are half prompt this is a twentieth of the work.

Shapes: R rows, L columns, D hidden units, P tokens read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .packing import Batch

_WORTH = 0.9  # above this share of tokens read, choosing them costs what it saves


def columns_read(batch: Batch) -> list[int]:
    """Where a batch's flattened rows are read, each place once and in order."""
    places: set[int] = set()
    for number, row in enumerate(batch.rows):
        start = number * batch.width
        for piece in row:
            places.update(start + column for read in piece.reads for column in read.columns)
            start += piece.length
    return sorted(places)


def decoder_layers(model: Any) -> nn.ModuleList | None:
    """A transformers decoder's layers, None where they cannot be told."""
    count = int(model.config.get_text_config().num_hidden_layers)
    lists = (m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == count)
    return next(lists, None)


@contextmanager
def only_where_read(model: Any, batch: Batch, device: torch.device) -> Iterator[None]:
    """The ``mlp`` of the model's last layer adds nothing to the batch's other tokens. Layers without one are left as
    they are."""
    layers = decoder_layers(model)
    mlp: Any = None if layers is None else getattr(layers[-1], "mlp", None)
    places = columns_read(batch)
    if not isinstance(mlp, nn.Module) or len(places) > _WORTH * batch.tokens:
        yield
        return
    own, replaced = mlp.forward, mlp.__dict__.get("forward")
    read = torch.tensor(places, device=device)

    def forward(hidden: Tensor, *more: Any, **named: Any) -> Any:
        if more or named:  # an MLP that is given more than the tokens may do more with them
            return own(hidden, *more, **named)
        flat = hidden.reshape(-1, hidden.shape[-1])
        found: Tensor = own(flat.index_select(0, read)[None])[0]
        return found.new_zeros(flat.shape).index_copy(0, read, found).view(hidden.shape)

    mlp.forward = forward
    try:
        yield
    finally:
        del mlp.forward
        if replaced is not None:
            mlp.forward = replaced
