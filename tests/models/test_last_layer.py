"""The last layer's MLP sees the tokens that are read; what is read does not change (test_branches.py compares it)."""

from typing import Any

import pytest
import torch
from branch_models import make, naive
from torch import Tensor, nn

from trueline.models.branches import score_trees
from trueline.models.forward.last_layer import columns_read
from trueline.models.forward.packing import lay_out, pack
from trueline.models.trees import Tree

TREES = [
    Tree(trunk=(5, 7, 9, 4, 8, 6, 3), branches=((6, 3, 9), (2, 8))),
    Tree(trunk=(4, 4), branches=((9,),)),
]


def seen_by(mlp: nn.Module, work: Any) -> list[int]:
    """Tokens of each call of an MLP's first projection."""
    seen: list[int] = []
    handle = mlp.gate_proj.register_forward_hook(lambda _, given, __: seen.append(given[0][..., 0].numel()))  # type: ignore[union-attr]
    work()
    handle.remove()
    return seen


def test_only_columns_that_are_read() -> None:
    pieces = [lay_out(tree, i, shared=True)[0] for i, tree in enumerate(TREES)]
    (batch,) = pack(pieces, budget=64, masked=True)
    # the trunk's last token, and all tokens of branches but their last
    assert columns_read(batch) == [6, 7, 8, 9, batch.width + 1]


@pytest.mark.parametrize("path", ["tree", "flat"])
def test_the_last_mlp_sees_what_is_read_and_the_others_see_everything(path: str) -> None:
    model = make("llama").double()
    score_trees(model, TREES)  # the probes of a new model
    layers = model.model.layers
    with torch.no_grad():
        expected = naive(model, TREES)
        counts = [
            sum(seen_by(layer.mlp, lambda: score_trees(model, TREES, path=path)))  # type: ignore[call-overload]
            for layer in (layers[0], layers[-1])
        ]
        scored = score_trees(model, TREES, path=path)  # type: ignore[call-overload]
    assert counts[1] < counts[0] / 2
    for ours, theirs in zip(scored, expected):
        for a, b in zip(ours, theirs):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_an_mlp_keeps_the_forward_that_it_had() -> None:
    model = make("llama").double()
    mlp = model.model.layers[-1].mlp
    own = mlp.forward
    calls: list[Any] = []

    def replaced(hidden: Tensor) -> Tensor:
        calls.append(hidden)
        return own(hidden)

    mlp.forward = replaced
    score_trees(model, TREES)
    assert calls and mlp.forward is replaced
    assert "forward" not in model.model.layers[0].mlp.__dict__
