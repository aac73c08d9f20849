"""Attention of trees that lie one after the other in one row, block by block: no padding and no dense mask.

A dense mask makes a row of L tokens cost L² a head and layer, whatever it hides. What a tree needs is less: its trunk
causally, and each segment over the trunk, the segments that it continues, and itself. Here the row is cut into these
blocks, and each goes through the model's own ``sdpa`` attention. So trees of any lengths share one row, in which every
column is a token. Short segments of one trunk are taken together under a small mask, since a call costs about as much
as sixty tokens.

Installed under its own name for the length of one forward pass, on models that let their attention be replaced; a
probe (``paths``) shows first that it gives what separate rows give.

Shapes: T tokens of the row, H query heads, N key-value heads, D head width.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from .beginnings import last_below
from .packing import Batch, Piece

NAME = "trueline_blocks"
_TOGETHER = 64  # tokens of short segments that share a call
_REFUSED = ("s_aux", "position_bias")  # attention sinks, learned biases
_active = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """How a piece is cut: ``sizes`` in tokens; each block after the first sees the first, the piece's columns ``above``
    it (those of segments that it continues, or None) and itself, as its mask says (additive, [queries, first + above +
    size]). The first sees itself: causally, or as its own mask says. ``queries`` are the tokens of each block that ask.
    """

    sizes: tuple[int, ...]
    above: tuple[Tensor | None, ...]
    masks: tuple[Tensor, ...]
    queries: tuple[int, ...]
    first: Tensor | None = None


def blocks_of(piece: Piece, *, device: torch.device, dtype: torch.dtype) -> Blocks:
    """A trunk with at most one segment is one causal block."""
    if len(piece.segments) < 2:
        return Blocks(sizes=(piece.length,), above=(), masks=(), queries=(piece.length,))
    lengths = [len(piece.trunk), *(len(segment.tokens) for segment in piece.segments)]
    starts = list(accumulate(lengths, initial=0))
    last = torch.tensor(last_below(piece.segments), device=device)
    sizes, above, masks = [lengths[0]], [], []
    for numbers in _grouped(lengths[1:]):
        # in preorder, what is above a later segment of a group is above its first too, or in the group
        before = _above(piece, numbers[0])
        columns = [column for number in before for column in range(starts[number], starts[number + 1])]
        part = torch.tensor([n for n in (*before, *numbers) for _ in range(lengths[n])], device=device)
        masks.append(_mask(lengths[0], part, last, own=len(part) - len(columns), dtype=dtype))
        above.append(torch.tensor(columns, device=device) if columns else None)
        sizes.append(len(part) - len(columns))
    return Blocks(sizes=tuple(sizes), above=tuple(above), masks=tuple(masks), queries=tuple(sizes))


def _above(piece: Piece, number: int) -> list[int]:
    """The segments that one continues, from the trunk on."""
    found: list[int] = []
    while number := piece.segments[number - 1].above:
        found.insert(0, number)
    return found


def blocks_read(piece: Piece, blocks: Blocks) -> Blocks:
    """The same where only the columns that are read ask."""
    columns = sorted({column for read in piece.reads for column in read.columns})
    asking: list[list[int]] = []
    start = 0
    for size in blocks.sizes:
        asking.append([column - start for column in columns if start <= column < start + size])
        start += size
    return Blocks(
        sizes=blocks.sizes,
        above=blocks.above,
        masks=tuple(
            mask if len(rows) == len(mask) else mask[rows] for mask, rows in zip(blocks.masks, asking[1:])
        ),
        queries=tuple(map(len, asking)),
        first=_rows_of_causal(blocks.sizes[0], asking[0]),
    )


def _rows_of_causal(size: int, rows: Sequence[int]) -> Tensor | None:
    """The mask [rows, size] of some tokens of a causal block; None where all ask, and where none does."""
    if len(rows) in (0, size):
        return None
    ahead = torch.arange(size) > torch.tensor(rows)[:, None]
    return torch.zeros(ahead.shape).masked_fill_(ahead, torch.finfo(torch.float32).min)


def _grouped(lengths: Sequence[int]) -> list[list[int]]:
    """The numbers of segments that share a call, in their order."""
    groups: list[list[int]] = []
    room = 0
    for number, length in enumerate(lengths, 1):
        if not groups or length > room:
            groups.append([])
            room = _TOGETHER
        groups[-1].append(number)
        room -= length
    return groups


def _mask(trunk: int, part: Tensor, last: Tensor, *, own: int, dtype: torch.dtype) -> Tensor:
    """0 where a token is seen, the dtype's minimum elsewhere: [own, trunk + n], for the segments' numbers ``part`` [n]
    of tokens above a group and its ``own``, and the ``last`` segment below each."""
    query = part[len(part) - own :, None]
    seen = ((part <= query) & (query <= last[part])).tril(diagonal=len(part) - own)
    mask = torch.zeros(own, trunk + len(part), dtype=dtype, device=part.device)
    mask[:, trunk:].masked_fill_(~seen, torch.finfo(dtype).min)
    return mask


Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, bool], Tensor]


def attend_blocks(attend: Attend, query: Tensor, key: Tensor, value: Tensor, cut: Sequence[Blocks]) -> Tensor:
    """Query [1, H, P, D] of the tokens that ask, key and value [1, N, T, D]; ``attend`` is given them with a mask, or
    that they are causal, and returns [1, P, H, D], as this does."""
    queries = iter(torch.split(query, [count for blocks in cut for count in blocks.queries], dim=2))
    sizes = [size for blocks in cut for size in blocks.sizes]
    parts = zip(*(torch.split(tensor, sizes, dim=2) for tensor in (key, value)))
    found, start = [], 0
    for blocks in cut:
        keys, values = next(parts)
        asking = next(queries)
        if blocks.queries[0]:
            found.append(attend(asking, keys, values, blocks.first, blocks.first is None))
        for mask, above in zip(blocks.masks, blocks.above):
            asking, own = next(queries), next(parts)
            if len(mask):
                seen = [(keys, values), own]
                if above is not None:
                    seen.insert(1, (key.index_select(2, above + start), value.index_select(2, above + start)))
                seen_keys, seen_values = (torch.cat(each, dim=2) for each in zip(*seen))
                found.append(attend(asking, seen_keys, seen_values, mask, False))
        start += sum(blocks.sizes)
    return torch.cat(found, dim=1) if len(found) > 1 else found[0]


def block_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Query [1, H, T, D], key and value [1, N, T, D]; returns [1, T, H, D] and None."""
    if unknown := [name for name in _REFUSED if kwargs.get(name) is not None]:
        raise ValueError(f"block attention does not know {unknown[0]}")
    own = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        mask = None if mask is None else mask[None, None]
        found: Tensor = own(module, query, key, value, mask, **{**kwargs, "is_causal": causal})[0]
        return found

    return attend_blocks(attend, query, key, value, _active.cut), None


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
