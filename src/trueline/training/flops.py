"""What training costs in floating-point operations, by a stated formula.

With P parameters (token embeddings left out where they are not also the head: looking one up multiplies
nothing), P_t of them trained, n tokens read, L layers of attention width d, and c the keys that each token
attends to (itself included):

    forward   2·P·n + 4·L·d·Σc          (queries × keys, and weights × values: 2·d multiply-adds each)
    training  (4·P + 2·P_t)·n + 12·L·d·Σc

that is 6·P·n where all is trained: twice the forward for the backward (gradients of activations, and of
weights). A prompt shared by several answers is read, and counted, once. The count is of useful work: no
padding and no recomputation; the head is counted on every token although it is applied to answers only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from trueline.models.trees import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What the formula needs of a model."""

    parameters: int
    trained: int
    layers: int
    width: int


def model_size(model: nn.Module) -> ModelSize:
    """Sizes of a transformers decoder; ``trained`` counts what requires a gradient now."""
    head = cast(Any, model).get_output_embeddings()
    embedding = cast(Any, model).get_input_embeddings()
    tied = head is not None and head.weight is embedding.weight
    everything = {id(p): p for p in model.parameters()}
    if not tied:
        everything.pop(id(embedding.weight), None)
    config: Any = model.config
    heads = getattr(config, "num_attention_heads", 0) or 0
    head_width = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    return ModelSize(
        parameters=sum(p.numel() for p in everything.values()),
        trained=sum(p.numel() for p in everything.values() if p.requires_grad),
        layers=int(getattr(config, "num_hidden_layers", 0) or 0),
        width=int(heads * head_width),
    )


def attended(tree: Tree) -> int:
    """Σc of a tree: each token attends to what precedes it on its way from the root, and to itself."""
    trunk = len(tree.trunk)
    total = trunk * (trunk + 1) // 2
    for branch in tree.branches:
        total += len(branch) * trunk + len(branch) * (len(branch) + 1) // 2
    return total


def tokens_of(trees: Sequence[Tree]) -> int:
    """Tokens read: each prompt once, and every answer."""
    return sum(len(tree.trunk) + sum(len(branch) for branch in tree.branches) for tree in trees)


def forward_flops(size: ModelSize, trees: Sequence[Tree]) -> float:
    """A forward pass without gradients."""
    keys = sum(attended(tree) for tree in trees)
    return 2.0 * size.parameters * tokens_of(trees) + 4.0 * size.layers * size.width * keys


def training_flops(size: ModelSize, trees: Sequence[Tree]) -> float:
    """A forward and a backward pass."""
    keys = sum(attended(tree) for tree in trees)
    per_token = 4.0 * size.parameters + 2.0 * size.trained
    return per_token * tokens_of(trees) + 12.0 * size.layers * size.width * keys
