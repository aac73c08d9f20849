"""Run a plan's batches, and let readers look at the hidden states of each branch.

A branch of T tokens can be looked at in three places:
  *predicting*  the T positions that predict its tokens, the first of them the trunk's last;
  *own*         the T positions of its own tokens;
  *last*        the one position of its last token (of the trunk's, where the branch is empty).
All places share one forward pass.

Shapes: C columns of a batch that are read, P positions of all its branches, D hidden units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trueline.models.trees import Tree

from .last_layer import columns_read
from .layers import watched
from .masks import Layers
from .packing import Batch, Read, Reading
from .paths import run_read
from .shared_prefix import Prefix

Place = Literal["predicting", "own", "last"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What there is to read in one place of a batch's branches.

    ``states`` [C, D] are the last hidden states of the columns that are read anywhere (empty where no look was to go
    that far), ``rows`` [P] the places among them that are read here, ``targets`` [P] the tokens that they predict, or
    their own. ``inner`` holds what inner layers return, [P, D] each. ``order`` has (tree, branch, positions) for each
    branch, in the order of P.
    """

    states: Tensor
    rows: Tensor
    targets: Tensor
    inner: Mapping[int, Tensor]
    order: Sequence[tuple[int, int, int]]

    @cached_property
    def hidden(self) -> Tensor:
        """The last hidden states that are read here: [P, D]."""
        return self.states.index_select(0, self.rows) if len(self.states) else self.states


Look = Callable[[Seen], tuple[Any, ...]]


def reading_of(places: Sequence[Place]) -> Reading:
    """Which columns a row must have for these places."""
    kinds = set(places)
    if kinds == {"last"}:
        return "final"
    return "predicting" if kinds == {"predicting"} else "whole"


def visit(
    model: nn.Module,
    batches: Sequence[Batch],
    trees: Sequence[Tree],
    layers: Layers | None,
    looks: Mapping[Place, Look],
    *,
    inner: Sequence[int] = (),
    last: bool = True,
    prefix: Prefix | None = None,
) -> dict[Place, list[list[tuple[Any, ...]]]]:
    """What each look finds, per tree and branch. ``inner`` layers are watched; without ``last`` nothing after
    the deepest of them runs. All rows continue ``prefix``."""
    found: dict[Place, list[list[Any]]] = {
        place: [[None] * len(tree.branches) for tree in trees] for place in looks
    }
    reading = reading_of(list(looks))
    for batch in batches:
        reads, columns = _columns(batch)
        hidden, kept = _run(model, batch, layers, inner, last, prefix)
        place_of = {column: place for place, column in enumerate(columns_read(batch))}
        for place, look in looks.items():
            cuts = [_cut_of(reading, place, len(read.columns)) for read in reads]
            chosen = [column for cut, read in zip(cuts, columns) for column in read[cut]]
            at = torch.tensor(chosen, dtype=torch.long, device=hidden.device)
            read_at = torch.tensor(
                [place_of[column] for column in chosen], dtype=torch.long, device=hidden.device
            )
            sizes = [len(read[cut]) for cut, read in zip(cuts, columns)]
            targets = [t for read, size in zip(reads, sizes) for t in _targets(trees, read, place, size)]
            seen = Seen(
                states=hidden,
                rows=read_at,
                targets=torch.tensor(targets, dtype=torch.long, device=hidden.device),
                inner={layer: states[at] for layer, states in kept.items()},
                order=[(read.tree, read.branch, size) for read, size in zip(reads, sizes)],
            )
            for read, part in zip(reads, _split(look(seen), sizes)):
                found[place][read.tree][read.branch] = part
    return found


def _run(
    model: nn.Module,
    batch: Batch,
    layers: Layers | None,
    inner: Sequence[int],
    last: bool,
    prefix: Prefix | None,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Last hidden states [P, D] where the batch is read (none without ``last``), and those after the inner layers of
    all its columns, [R·L, D] each."""
    if not inner:
        return run_read(model, batch, layers, prefix), {}
    states: Tensor | None = None
    with watched(model, inner, stop=not last) as kept:
        states = run_read(model, batch, layers, prefix)
    flat = {layer: values.flatten(0, 1) for layer, values in kept.items()}
    return next(iter(flat.values()))[:0] if states is None else states, flat


def _cut_of(reading: Reading, place: Place, columns: int) -> slice:
    """Which of a read's columns a place has; a *whole* read has the predicting ones and the last."""
    if reading != "whole":
        return slice(None)
    return {"predicting": slice(0, columns - 1), "own": slice(1, None), "last": slice(columns - 1, None)}[
        place
    ]


def _targets(trees: Sequence[Tree], read: Read, place: Place, size: int) -> Sequence[int]:
    tree = trees[read.tree]
    branch = tree.branches[read.branch]
    return branch[:size] if place != "last" else (branch or tree.trunk)[-1:]


def _columns(batch: Batch) -> tuple[list[Read], list[list[int]]]:
    """The reads of a batch, and their columns in the batch's flattened rows."""
    reads: list[Read] = []
    columns: list[list[int]] = []
    for number, row in enumerate(batch.rows):
        start = number * batch.width
        for piece in row:
            for read in piece.reads:
                reads.append(read)
                columns.append([start + column for column in read.columns])
            start += piece.length
    return reads, columns


def _split(values: Any, sizes: list[int]) -> list[Any]:
    """A tensor, or a nested (named) tuple of tensors, split along its first dimension."""
    if isinstance(values, Tensor):
        return list(torch.split(values, sizes))
    parts = zip(*(_split(value, sizes) for value in values))
    return [type(values)(*part) if hasattr(values, "_fields") else tuple(part) for part in parts]
