"""Attention of one new token a row over a :class:`PrefixCache`: shared prompt keys and own generated keys.

It is installed under its own name for the length of a decoding step only; prompts are read with the model's
own attention. A model whose attention needs more than scores = q k / sqrt(d), a soft cap and a softmax is
refused.

Shapes: G prompts, K rows a prompt (padded), S rows, H query heads, N key-value heads, R = H/N, P prompt
tokens, C generated columns, D head width.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from .prefix_cache import PrefixCache, View

NAME = "trueline_shared_prefix"
_active = threading.local()
_REFUSED = ("s_aux", "position_bias")  # attention sinks, learned biases


def shared_prefix_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Query [S, H, 1, D] over prompts and generated keys [S, N, C, D]; returns [S, 1, H, D] and None."""
    if unknown := [name for name in _REFUSED if kwargs.get(name) is not None]:
        raise ValueError(f"shared-prefix attention does not know {unknown[0]}")
    cache: PrefixCache = _active.cache
    view = cache.view
    assert view is not None, "begin_step was not called"
    prompt_keys, prompt_values = (t[:, :, : view.longest] for t in cache.layers[module.layer_idx].prompt)
    rows, heads, _, width = query.shape
    kv_heads = key.shape[1]
    shared = heads // kv_heads
    query = (query * (width**-0.5 if scaling is None else scaling)).reshape(rows, kv_heads, shared, width)
    on_prompt = torch.matmul(_to_grid(query, view), prompt_keys.transpose(2, 3))
    on_grown = torch.matmul(query, key.transpose(2, 3))
    if softcap is not None:
        on_prompt, on_grown = (torch.tanh(s / softcap) * softcap for s in (on_prompt, on_grown))
    if view.prompt_bias is not None:
        on_prompt = on_prompt + view.prompt_bias
    if view.bias is not None:
        on_grown = on_grown + view.bias
    scores = torch.cat([_from_grid(on_prompt, view, shared), on_grown], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(query.dtype, torch.float32))
    weights = weights.to(value.dtype)
    from_prompt = torch.matmul(_to_grid(weights[..., : view.longest], view), prompt_values)
    output = torch.matmul(weights[..., view.longest :], value) + _from_grid(from_prompt, view, shared)
    return output.reshape(rows, 1, heads, value.shape[-1]), None


def _to_grid(values: Tensor, view: View) -> Tensor:
    """[S, N, R, X] to [G, N, K*R, X]."""
    if view.into_grid is not None:
        values = values.index_select(0, view.into_grid)
    _, kv_heads, shared, width = values.shape
    values = values.reshape(view.groups, view.per_group, kv_heads, shared, width).transpose(1, 2)
    return values.reshape(view.groups, kv_heads, view.per_group * shared, width)


def _from_grid(values: Tensor, view: View, shared: int) -> Tensor:
    """[G, N, K*R, X] to [S, N, R, X]."""
    _, kv_heads, _, width = values.shape
    values = values.reshape(view.groups, kv_heads, view.per_group, shared, width).transpose(1, 2)
    values = values.reshape(view.groups * view.per_group, kv_heads, shared, width)
    return values if view.out_of_grid is None else values.index_select(0, view.out_of_grid)


@contextmanager
def sharing(model: Any, cache: PrefixCache) -> Iterator[None]:
    """One step of the model on this cache; its own attention comes back afterwards."""
    own = model.config._attn_implementation
    AttentionInterface.register(NAME, shared_prefix_attention)
    cache.begin_step()
    _active.cache = cache
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = own
        del _active.cache
    cache.end_step()
