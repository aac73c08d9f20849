"""Attention of trees that lie one after the other in one row, block by block: no padding and no dense mask.

A dense mask makes a row of L tokens cost L² a head and layer, whatever it hides. What a tree needs is less: its trunk
causally, and each segment over the trunk and itself. Here the row is cut into these blocks, and each goes through the
model's own ``sdpa`` attention. So trees of any lengths share one row, in which every column is a token. Short segments
of one trunk are taken together under a small mask, since a call costs about as much as sixty tokens.

Installed under its own name for the length of one forward pass, on models that let their attention be replaced; a
probe (``paths``) shows first that it gives what separate rows give.

Shapes: T tokens of the row, H query heads, N key-value heads, D head width.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from .packing import Batch, Piece

NAME = "trueline_blocks"
_TOGETHER = 64  # tokens of short segments that share a call
_REFUSED = ("s_aux", "position_bias")  # attention sinks, learned biases
_active = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """How a piece is cut: ``sizes`` in tokens, the first of them causal; each further one sees the first, and itself
    as its mask says (additive, [size, first + size])."""

    sizes: tuple[int, ...]
    masks: tuple[Tensor, ...]


def blocks_of(piece: Piece, *, device: torch.device, dtype: torch.dtype) -> Blocks:
    """A trunk with at most one segment is one causal block."""
    if len(piece.segments) < 2:
        return Blocks(sizes=(piece.length,), masks=())
    trunk, groups = len(piece.trunk), _grouped([len(segment) for segment in piece.segments])
    masks = tuple(_mask(trunk, group, device=device, dtype=dtype) for group in groups)
    return Blocks(sizes=(trunk, *map(sum, groups)), masks=masks)


def _grouped(lengths: Sequence[int]) -> list[list[int]]:
    """Segments that share a call, in their order."""
    groups: list[list[int]] = []
    for length in lengths:
        if groups and sum(groups[-1]) + length <= _TOGETHER:
            groups[-1].append(length)
        else:
            groups.append([length])
    return groups


def _mask(trunk: int, lengths: Sequence[int], *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """0 where a token is seen, the dtype's minimum elsewhere: [n, trunk + n] for n tokens of segments."""
    segment = torch.repeat_interleave(torch.tensor(lengths, device=device))
    own = (segment[:, None] == segment[None, :]).tril()
    mask = torch.zeros(len(segment), trunk + len(segment), dtype=dtype, device=device)
    mask[:, trunk:].masked_fill_(~own, torch.finfo(dtype).min)
    return mask


def block_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Query [1, H, T, D], key and value [1, N, T, D]; returns [1, T, H, D] and None."""
    if unknown := [name for name in _REFUSED if kwargs.get(name) is not None]:
        raise ValueError(f"block attention does not know {unknown[0]}")
    attend = ALL_ATTENTION_FUNCTIONS["sdpa"]
    cut: Sequence[Blocks] = _active.cut
    sizes = [size for blocks in cut for size in blocks.sizes]
    parts = zip(*(torch.split(tensor, sizes, dim=2) for tensor in (query, key, value)))
    found = []
    for blocks in cut:
        first, keys, values = next(parts)
        found.append(attend(module, first, keys, values, None, **{**kwargs, "is_causal": True})[0])
        for mask in blocks.masks:
            own, own_keys, own_values = next(parts)
            seen = torch.cat([keys, own_keys], dim=2), torch.cat([values, own_values], dim=2)
            found.append(attend(module, own, *seen, mask[None, None], **kwargs)[0])
    return torch.cat(found, dim=1) if len(found) > 1 else found[0], None


@contextmanager
def in_blocks(model: Any, batch: Batch) -> Iterator[None]:
    """The model attends the batch's one row in blocks; its own attention comes back afterwards."""
    own = model.config._attn_implementation
    AttentionInterface.register(NAME, block_attention)
    (row,) = batch.rows
    device = model.get_input_embeddings().weight.device
    _active.cut = [blocks_of(piece, device=device, dtype=model.dtype) for piece in row]
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = own
        del _active.cut
