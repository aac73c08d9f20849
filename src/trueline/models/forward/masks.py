"""Attention masks of packed trees, one for each kind of layer.

Models that mix full and sliding-window attention (Gemma-2 and -3, Qwen with ``layer_types``) use a 4-D mask
that they are given *as it is* in every layer, so one mask for all kinds would be silently wrong; they take a
dict from layer kind to mask instead. A window is counted in positions, that is in the branch's own sequence,
never in columns of the row.

Shapes: R rows, L columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .beginnings import last_below
from .packing import Batch, Piece

# Attributes of configurations whose attention depends on a token's column, or whose windows we do not know.
_BY_COLUMN = {
    "alibi": "ALiBi biases count columns of the row",
    "use_alibi": "ALiBi biases count columns of the row",
    "attention_layers": "local attention counts columns of the row",
    "attention_chunk_size": "chunked attention is not built here",
    "use_bidirectional_attention": "its attention is not causal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The kinds of layer of a model: kind -> window in tokens, None for full attention."""

    windows: dict[str, int | None]

    @property
    def narrowest(self) -> int | None:
        """The shortest window of any layer, None where all are full."""
        return min((window for window in self.windows.values() if window is not None), default=None)


def layer_kinds(config: Any) -> Layers | str:
    """The layer kinds of a transformers text configuration, or why a tree mask cannot serve it."""
    for name, why in _BY_COLUMN.items():
        value = getattr(config, name, None)
        if value and not (name == "attention_layers" and set(value) == {"global"}):
            return why
    window = getattr(config, "sliding_window", None)
    kinds = sorted(set(getattr(config, "layer_types", None) or ()))
    if not kinds:
        kinds = ["full_attention"] if window is None else ["sliding_attention"]
    unknown = [kind for kind in kinds if kind not in ("full_attention", "sliding_attention")]
    if unknown:
        return f"it has layers of kind {', '.join(unknown)}, which carry state along the row"
    if "sliding_attention" in kinds and not isinstance(window, int):
        return f"it has sliding layers, but its window is {window!r}"
    return Layers(windows={kind: window if kind == "sliding_attention" else None for kind in kinds})


def tree_masks(
    batch: Batch, layers: Layers, *, device: torch.device, dtype: torch.dtype, before: int = 0
) -> Tensor | dict[str, Tensor]:
    """Additive masks [R, 1, L, P + L] (0 where a token is seen, the dtype's minimum elsewhere).

    ``before`` is P, the tokens that every piece of the batch follows and whose columns come first. One tensor
    where all layers are of one kind, else a dict from kind to tensor. Padding sees itself (and what is before
    all), so that no row of the softmax is empty.
    """
    group = _table(
        batch, [[n for n, piece in enumerate(row) for _ in range(piece.length)] for row in batch.rows], -1
    )
    part = _table(batch, [[p for piece in row for p in piece.parts()] for row in batch.rows], -1)
    last = _table(batch, [[p for piece in row for p in _last_parts(piece)] for row in batch.rows], -1)
    position = _table(batch, [[p for piece in row for p in piece.positions()] for row in batch.rows], 0)
    group, part, last, position = (table.to(device) for table in (group, part, last, position))
    column = torch.arange(batch.width, device=device)
    seen = (group[:, :, None] == group[:, None, :]) & (group >= 0)[:, :, None]
    seen &= (part[:, None, :] <= part[:, :, None]) & (part[:, :, None] <= last[:, None, :])
    seen &= column[:, None] >= column[None, :]
    itself = torch.eye(batch.width, dtype=torch.bool, device=device)
    distance = position[:, :, None] - position[:, None, :]
    ahead = before + position[:, :, None] - torch.arange(before, device=device)
    total = before + batch.width
    masks: dict[str, Tensor] = {}
    built: dict[int, Tensor] = {}
    for kind, window in layers.windows.items():
        reach = min(window or total, total)
        if reach not in built:
            visible = torch.cat([ahead < reach, (seen & (distance < reach)) | itself], dim=-1)
            additive = torch.zeros(visible.shape, dtype=dtype, device=device)
            built[reach] = additive.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]
        masks[kind] = built[reach]
    return masks if len(masks) > 1 else next(iter(masks.values()))


def _last_parts(piece: Piece) -> Iterator[int]:
    """For each token, the number of the last part that may see it: its own, or one that continues it."""
    last = last_below(piece.segments)
    yield from (last[part] for part in piece.parts())


def _table(batch: Batch, rows: list[list[int]], fill: int) -> Tensor:
    """Rows padded on the right to the batch's width: [R, L]."""
    return torch.tensor([row + [fill] * (batch.width - len(row)) for row in rows])
