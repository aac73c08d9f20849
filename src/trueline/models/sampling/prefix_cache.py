"""A key-value cache whose prompts are stored once, however many samples continue them.

At each step a row attends to two places: its prompt's keys, shared with the other samples of that prompt and
read once for all of them (one matrix product a prompt), and its own generated keys. One softmax runs over
both, so the result is the ordinary attention, up to rounding. Plain matrix products are used throughout: for
one query token they were faster on a CPU than the fused kernel (1.2-2x at 16 keys a row, 4-10x at 300 shared
ones).

Generated keys of all rows of a step share one column, whatever their age: a row that starts later has the
earlier columns masked, and columns older than every live row are dropped. Keys carry their positions (rotary
or learned), so their order in the cache means nothing.

Shapes: G prompts, S rows, N key-value heads, P prompt tokens, C columns, D head width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

_CHUNK = 64  # columns by which the generated part grows
CLOSED = -1  # the group of a row whose sample is finished


class SharedLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer: prompt keys and values [G, N, P, D], generated ones [S, N, C, D]."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()
        self.prompt: list[Tensor] = []
        self.grown: list[Tensor] = []
        self.first = 0
        self.column = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the cache allocates when prompts are placed."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store this step's keys and values [S, N, 1, D]; returns all generated ones so far."""
        for store, new in zip(self.grown, (key_states, value_states)):
            store[: len(new), :, self.column] = new[:, :, 0]
        live = slice(self.first, self.column + 1)
        rows = len(key_states)
        return self.grown[0][:rows, :, live], self.grown[1][:rows, :, live]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Sizes for a mask, which the shared attention does not use."""
        return self.column - self.first + query_length, 0

    def get_seq_length(self) -> int:
        """Columns in use; positions are always given to the model, never derived from this."""
        return self.column - self.first

    def get_max_length(self) -> int:
        """No maximum."""
        return -1


class PrefixCache(Cache):  # type: ignore[misc]
    """The cache of all layers, and which row continues which prompt."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.lengths: list[int] = []  # tokens of the prompt in each group row
        self.groups: list[int] = []  # group row of each row, or CLOSED
        self.starts: list[int] = []  # first column of each row
        self.first = 0
        self.column = 0
        self.view: View | None = None
        self._bias: Tensor | None = None  # [S, C]: 0 where a row may look, -inf elsewhere

    @property
    def width(self) -> int:
        """Columns allocated."""
        return 0 if self._bias is None else self._bias.shape[1]

    def place_prompts(self, places: Sequence[int], lengths: Sequence[int], computed: Cache) -> None:
        """Put freshly computed prompts [n, N, P, D] into group rows ``places`` (free ones, or the next new
        ones).
        """
        groups = max([len(self.lengths), *(place + 1 for place in places)])
        self.lengths += [0] * (groups - len(self.lengths))
        while len(self.layers) < len(computed.layers):
            self.layers.append(SharedLayer())
        for layer, source in zip(self.layers, computed.layers):
            tensors = (source.keys, source.values)
            layer.prompt = layer.prompt or [t[:0, :, :0] for t in tensors]
            width = max(max(lengths), layer.prompt[0].shape[2])
            layer.prompt = [_resized(t, groups, width, width) for t in layer.prompt]
            for store, new in zip(layer.prompt, tensors):
                for row, (place, length) in enumerate(zip(places, lengths)):
                    store[place, :, :length] = new[row, :, :length]
        for place, length in zip(places, lengths):
            self.lengths[place] = length
        self.view = None

    def open_rows(self, rows: Sequence[int], groups: Sequence[int], columns: int = _CHUNK) -> None:
        """(Re)start rows at the current column, each continuing the prompt of its group row.

        ``columns`` is the most that any of them will need, where that is known."""
        count = max([len(self.starts), *(row + 1 for row in rows)])
        self.starts += [self.column] * (count - len(self.starts))
        self.groups += [CLOSED] * (count - len(self.groups))
        for row, group in zip(rows, groups):
            self.starts[row], self.groups[row] = self.column, group
        self._allocate(count, max(self.width, min(columns, _CHUNK)))
        assert self._bias is not None
        self._bias[list(rows)] = float("-inf")
        self.view = None

    def close_row(self, row: int) -> None:
        """The row's sample is finished; it is computed on, unread, until it is opened again or dropped."""
        self.groups[row] = CLOSED

    def close_group(self, group: int) -> None:
        """No row continues this prompt any more; its place can be given to another."""
        self.lengths[group] = 0

    def keep(self, rows: Sequence[int]) -> int:
        """Keep only these rows, in this order, and the prompts they use, whose number is returned."""
        used = sorted({self.groups[row] for row in rows})
        place = {old: new for new, old in enumerate(used)}
        for layer in self.layers:
            layer.prompt = [t[used] for t in layer.prompt]
            layer.grown = [t[list(rows)] for t in layer.grown]
        assert self._bias is not None
        self._bias = self._bias[list(rows)]
        self.lengths = [self.lengths[group] for group in used]
        self.starts = [self.starts[row] for row in rows]
        self.groups = [place[self.groups[row]] for row in rows]
        self.view = None
        return len(used)

    def begin_step(self) -> None:
        """Make room for one more column, which every row may see from now on."""
        oldest = min(s for s, g in zip(self.starts, self.groups) if g != CLOSED)
        if self.column == self.width:
            if oldest > 0:
                self._drop_columns(oldest)
                oldest = 0
            if self.column * 2 > self.width:
                self._allocate(len(self.starts), self.width + max(_CHUNK, self.width // 2))
        if self.view is None:
            self.first = oldest
            self.view = View(self)
        assert self._bias is not None
        self._bias[:, self.column] = 0
        bias = self._bias[:, None, None, self.first : self.column + 1]
        self.view.bias = bias if self.view.uneven else None
        for layer in self.layers:
            layer.first, layer.column = self.first, self.column

    def end_step(self) -> None:
        """The column is full."""
        self.column += 1

    def _drop_columns(self, count: int) -> None:
        assert self._bias is not None
        kept = self.column - count
        for store in [self._bias[:, None, :, None], *(t for layer in self.layers for t in layer.grown)]:
            store[:, :, :kept] = store[:, :, count : self.column].clone()
        self.starts = [max(start - count, 0) for start in self.starts]
        self.column = kept
        self.view = None

    def _allocate(self, rows: int, width: int) -> None:
        for layer in self.layers:
            layer.grown = layer.grown or [t[:0, :, :0] for t in layer.prompt]
            layer.grown = [_resized(t, rows, width, self.column) for t in layer.grown]
        old = self._bias
        if old is None or old.shape[0] < rows or old.shape[1] < width:
            device = self.layers[0].prompt[0].device
            self._bias = torch.full((rows, width), float("-inf"), device=device)
            if old is not None:
                self._bias[: old.shape[0], : old.shape[1]] = old


class View:
    """How rows lie in the grid of prompts and their rows [G, K]; computed when the rows change.

    ``into_grid`` [G*K] and ``out_of_grid`` [S] are None where rows already lie in that order.
    """

    def __init__(self, cache: PrefixCache) -> None:
        device = cache.layers[0].prompt[0].device
        members: list[list[int]] = [[] for _ in cache.lengths]
        for row, group in enumerate(cache.groups):
            if group != CLOSED:
                members[group].append(row)
        self.groups = len(members)
        self.per_group = max(len(rows) for rows in members)
        self.longest = max(cache.lengths)
        self.uneven = any(start > cache.first for start in cache.starts)
        self.bias: Tensor | None = None
        grid = [row for rows in members for row in rows + [0] * (self.per_group - len(rows))]
        self.into_grid: Tensor | None = None
        self.out_of_grid: Tensor | None = None
        if grid != list(range(len(cache.groups))):
            place = {
                row: g * self.per_group + at for g, rows in enumerate(members) for at, row in enumerate(rows)
            }
            self.into_grid = torch.tensor(grid, device=device)
            out = [place.get(row, 0) for row in range(len(cache.groups))]
            self.out_of_grid = torch.tensor(out, device=device)
        self.prompt_bias: Tensor | None = None
        if len(set(cache.lengths)) > 1:
            beyond = torch.arange(self.longest)[None] >= torch.tensor(cache.lengths)[:, None]
            bias = torch.zeros(beyond.shape).masked_fill_(beyond, float("-inf"))
            self.prompt_bias = bias[:, None, None].to(device)


def _resized(tensor: Tensor, rows: int, width: int, read: int) -> Tensor:
    """The tensor with at least this many rows and columns, of which the first ``read`` may be read masked.

    New rows are zero there: what is not a number does not vanish under a weight of zero.
    """
    old_rows, heads, old_width, size = tensor.shape
    if old_rows >= rows and old_width >= width:
        return tensor
    larger = tensor.new_empty((max(rows, old_rows), heads, max(width, old_width), size))
    larger[:old_rows, :, :old_width] = tensor
    larger[old_rows:, :, :read] = 0
    larger[:old_rows, :, old_width:read] = 0
    return larger
