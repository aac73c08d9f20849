"""Prompts that begin alike: the solved examples of a few-shot task, a long system prompt. They are read once.

Trees whose trunks share their first P tokens are a *family*. Its beginning goes through the decoder by itself,
and its keys and values are put before those of every row of the family's trees, which then hold only what is
their own. Whether that is exact on a model is found out by a probe, as for trees.

Shapes: R rows, N key-value heads, P shared tokens, L columns of a row, D head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

from trueline.models.trees import Tree

LEAST_SHARED = 32  # tokens: below, longer keys and dense masks cost what is spared
A_PASS = 512  # tokens that a family must spare beside: its own forward passes cost as much
_STEPS = 64  # lengths at which a common beginning may be cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Trees, by index, whose trunks share their first ``shared`` tokens; 0 where nothing is read once."""

    shared: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefix:
    """A beginning that was read: its length and, per layer, keys and values [1, N, P, D]."""

    length: int
    layers: tuple[tuple[Tensor, Tensor], ...]

    def cache(self) -> Cache:
        """The cache with which rows continue this beginning."""
        return Cache(layers=[_PrefixedLayer(keys, values) for keys, values in self.layers])


class _PrefixedLayer(CacheLayerMixin):  # type: ignore[misc]
    """Puts the shared keys and values before those of each row, and keeps nothing."""

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self.is_initialized = keys, values, True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: keys and values are there."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """[R, N, L, D] to [R, N, P + L, D]."""
        return _joined(self.keys, key_states), _joined(self.values, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Sizes for a mask, which is always given."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """P; positions are always given to the model, never derived from this."""
        return int(self.keys.shape[2])

    def get_max_length(self) -> int:
        """No maximum."""
        return -1


def _joined(shared: Tensor, own: Tensor) -> Tensor:
    return torch.cat([shared.expand(len(own), -1, -1, -1), own], dim=2)


def read_prefix(model: Any, tokens: Sequence[int], device: torch.device) -> Prefix:
    """Run the decoder over a beginning, without gradients."""
    computed = DynamicCache()
    with torch.no_grad():
        model.base_model(
            input_ids=torch.tensor([list(tokens)], device=device), past_key_values=computed, use_cache=True
        )
    layers = tuple((layer.keys, layer.values) for layer in computed.layers)
    return Prefix(length=len(tokens), layers=layers)


def without(tree: Tree, shared: int) -> Tree:
    """The tree after its family's beginning."""
    return Tree(trunk=tree.trunk[shared:], branches=tree.branches) if shared else tree


def families(trees: Sequence[Tree], *, least: int = LEAST_SHARED) -> list[Family]:
    """Trees grouped so that the most tokens are spared; those that share nothing come first, as one family.

    At least one token of each trunk is its own, from which its branches' first tokens are predicted.
    """
    order = sorted(range(len(trees)), key=lambda index: trees[index].trunk)
    step = max(1, max((len(tree.trunk) for tree in trees), default=0) // _STEPS)
    trunks = [trees[index].trunk for index in order]
    # What each tree has in common with the one before it, in this order; groups are sought on a grid of lengths.
    common = [0, *(_common(a, b, min(len(a), len(b)) - 1) for a, b in pairwise(trunks))][: len(order)]
    grid = [length // step * step if length >= least else 0 for length in common]
    single: list[int] = []
    found: list[Family] = []
    for first, last, shared in _best(grid, 0, len(order))[1]:
        members = order[first:last]
        if shared:
            shared = min(common[first + 1 : last])
            found.append(Family(shared=shared, members=tuple(sorted(members))))
        else:
            single += members
    alone = [Family(shared=0, members=tuple(sorted(single)))] if single else []
    return alone + sorted(found, key=lambda family: family.members)


def _best(common: Sequence[int], first: int, last: int) -> tuple[int, list[tuple[int, int, int]]]:
    """The tokens spared and the groups: all together, or apart where they have least in common."""
    if last - first < 2:
        return 0, [(first, last, 0)] if last > first else []
    shared = min(common[first + 1 : last])
    cuts = [first, *(at for at in range(first + 1, last) if common[at] == shared), last]
    parts = [_best(common, a, b) for a, b in pairwise(cuts)]
    apart = sum(spared for spared, _ in parts)
    together = (last - first - 1) * shared - A_PASS
    if shared and together > 0 and together >= apart:
        return together, [(first, last, shared)]
    return apart, [group for _, groups in parts for group in groups]


def _common(a: Sequence[int], b: Sequence[int], most: int) -> int:
    """How many leading tokens are equal, up to ``most``: by halves, for most prompts share nothing or much."""
    low, high = 0, max(0, most)
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
