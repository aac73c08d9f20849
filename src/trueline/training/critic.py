"""A critic for policy optimisation: a one-number head beside the language-model head, on the same body.

It starts at zero, so that its first losses leave the body alone: the gradient that a head passes on is proportional to
its weights. It is trained and checkpointed with the model, and taken off before the model is saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from trueline.models.forward.paths import unwrap

HEAD = "value_head"


@contextmanager
def critic(model: Any, *, wanted: bool = True) -> Iterator[None]:
    """The model has a value head within, whose every number is trained, where it is ``wanted``."""
    if not wanted:
        yield
        return
    inner = unwrap(model)
    like = inner.get_input_embeddings().weight
    head = nn.Linear(inner.config.get_text_config().hidden_size, 1, dtype=like.dtype, device=like.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    setattr(inner, HEAD, head)
    try:
        yield
    finally:
        delattr(inner, HEAD)
