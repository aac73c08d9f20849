"""The one primitive: a prompt and its branches, scored.

Choosing between options, a preference pair, a ranked list, a group of rollouts, a set of canaries: each is
one prompt with K continuations. Trees are packed into rows up to a token budget, each branch sees its trunk
and itself, positions restart at each branch, and only the predicting positions go through the head, in
chunks, to *readers*. Without gradients, beginnings that branches share are computed once as well (``beginnings``).
Two paths give the same numbers: *tree* (one masked row) and *flat* (a plain causal row a branch), which serves
where a tree is not exact (recurrent layers) or not worth it (one branch, or short trunks). ``plan`` says which
was taken and what it saves. On a CPU, trees and rows that are not tiny are joined in one row without padding,
which is attended block by block (``block_attention``).

On a GPU above about 4 k tokens a row, flex attention would be the faster mask; it is not built here.

Shapes: T tokens of a branch, D hidden units.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError

from .forward.heads import read_hidden, read_rows
from .forward.packing import Batch, Piece, Reading, join, lay_out, pack, worth_joining, worth_sharing
from .forward.paths import device_of, head_of, known, unwrap
from .forward.readers import Reader, log_probability
from .forward.shared_prefix import Prefix
from .forward.visiting import Look, Place, Seen, reading_of, visit
from .trees import Tree, build_tree

__all__ = ["BranchScorer", "Path", "Plan", "Tree", "build_tree", "choose_path", "final_states", "plan",
       "predicting_states", "score_trees", "visit_trees"]  # fmt: skip

Path = Literal["auto", "tree", "flat"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be computed. ``reason`` is why the model's path is what it is."""

    batches: tuple[Batch, ...]
    reason: str
    shared_trees: int
    flat_trees: int
    separate_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return sum(batch.tokens for batch in self.batches)

    @property
    def padding(self) -> int:
        """Tokens of padding among them."""
        return self.tokens - sum(batch.real_tokens for batch in self.batches)

    def describe(self) -> str:
        """One line for logs and reports."""
        return (
            f"{self.shared_trees} trees share their trunk, {self.flat_trees} are flat; {self.tokens} tokens "
            f"({self.padding} padding) in {len(self.batches)} batches for {self.separate_tokens} in separate "
            f"rows; {self.reason}"
        )


def choose_path(model: nn.Module) -> tuple[Literal["tree", "flat"], str]:
    """Whether trees are exact on this model, and why."""
    found = known(model)
    return found.path, found.reason


def plan(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    reading: Reading = "predicting",
    prefix: Prefix | None = None,
    fold: bool = False,
) -> Plan:
    """How these trees would be scored; ``fold`` shares the beginnings of branches, as is done without gradients.

    ``auto`` shares a trunk where that is exact and cheaper; ``tree`` shares every trunk, and raises
    InputError on a model where that is not exact; ``flat`` gives each branch its own row. Trees that
    continue a ``prefix`` are shared whatever their shape.
    """
    _check_request(token_budget, path)
    found = known(model)
    if prefix is not None:
        assert found.prefixes, "nothing may continue a prefix on this model"
        path = "tree"
    if path == "tree" and found.path != "tree":
        raise InputError(f"path 'tree' is not exact on this model ({found.reason}); use 'auto' or 'flat'.")
    hidden = int(unwrap(model).config.get_text_config().hidden_size)
    # measured on a CPU only; a row a branch is what "flat" asks for, and blocks know no prefix
    joins = found.joins and path != "flat" and prefix is None and device_of(model).type == "cpu"
    window = None if found.layers is None else found.layers.narrowest
    masked: list[Piece] = []
    plain: list[Piece] = []
    joined: list[Piece] = []
    shared_trees = 0
    for index, tree in enumerate(trees):
        shared = path == "tree" or (
            path == "auto" and found.path == "tree" and worth_sharing(tree, hidden, joined=joins, fold=fold)
        )
        shared_trees += shared
        for piece in lay_out(tree, index, shared=shared, reading=reading, fold=fold):
            apart = masked if shared else plain
            (joined if joins and worth_joining(piece, window) else apart).append(piece)
    before = 0 if prefix is None else prefix.length
    _check_sizes(model, trees, joined + masked + plain, before)
    batches = join(joined, budget=token_budget)
    batches += pack(masked, budget=_own_budget(token_budget, masked, before), masked=True)
    batches += pack(plain, budget=token_budget, masked=False)
    return Plan(
        batches=tuple(batches),
        reason=found.reason,
        shared_trees=shared_trees,
        flat_trees=len(trees) - shared_trees,
        separate_tokens=sum(len(tree.trunk) + len(branch) for tree in trees for branch in tree.branches),
    )


@overload
def score_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    prefix: Prefix | None = None,
) -> list[list[Tensor]]: ...


@overload
def score_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    readers: Sequence[Reader],
    prefix: Prefix | None = None,
) -> list[list[tuple[Any, ...]]]: ...


def score_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    readers: Sequence[Reader] | None = None,
    prefix: Prefix | None = None,
) -> list[list[Any]]:
    """For each tree and branch, the log-probabilities of its tokens: [T], fp32 (fp64 on an fp64 model), in
    nats.

    With ``readers``, each branch gets a tuple with what each reader says of its tokens instead.
    ``prefix`` was read before and is what all trees continue (``shared_prefix.read_prefix``, without
    gradients). Differentiable when gradients are enabled; without them, what branches have in common at their
    beginnings is computed once. Training or evaluation mode is left as the caller set it
    (dropout makes the two paths differ). Raises InputError for a sequence beyond the model's positions or a
    token outside its vocabulary.
    """
    head, fold, chosen = head_of(model), not torch.is_grad_enabled(), readers or (log_probability,)

    def look(seen: Seen) -> tuple[Any, ...]:
        if fold:
            return read_rows(head, seen.states, seen.rows, seen.targets, chosen)
        return read_hidden(head, seen.hidden, seen.targets, chosen)

    scored = visit_trees(
        model, trees, {"predicting": look}, token_budget=token_budget, path=path, prefix=prefix, fold=fold
    )
    return scored["predicting"] if readers else _only(scored["predicting"])


def visit_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    looks: Mapping[Place, Look],
    *,
    inner: Sequence[int] = (),
    last: bool = True,
    token_budget: int = 8192,
    path: Path = "auto",
    prefix: Prefix | None = None,
    fold: bool = False,
) -> dict[Place, list[list[tuple[Any, ...]]]]:
    """What each look finds in its place, per tree and branch, all in one forward pass (see ``visiting``)."""
    reading = reading_of(list(looks))
    work = plan(model, trees, token_budget=token_budget, path=path, reading=reading, prefix=prefix, fold=fold)
    _log.debug("%s", work.describe())
    layers = known(model).layers
    return visit(model, work.batches, trees, layers, looks, inner=inner, last=last, prefix=prefix)


def predicting_states(
    model: nn.Module, trees: Sequence[Tree], *, token_budget: int = 8192, path: Path = "auto"
) -> list[list[Tensor]]:
    """For each tree and branch, the last hidden states of the positions that predict its tokens: [T, D]."""
    looks: dict[Place, Look] = {"predicting": lambda seen: (seen.hidden,)}
    return _only(visit_trees(model, trees, looks, token_budget=token_budget, path=path)["predicting"])


def final_states(
    model: nn.Module, trees: Sequence[Tree], *, token_budget: int = 8192, path: Path = "auto"
) -> list[list[Tensor]]:
    """For each tree and branch, the last hidden state at its last token: [D], as reward models read it."""
    looks: dict[Place, Look] = {"last": lambda seen: (seen.hidden,)}
    states = _only(visit_trees(model, trees, looks, token_budget=token_budget, path=path)["last"])
    return [[state[0] for state in branches] for branches in states]


class BranchScorer(nn.Module):
    """A module whose forward is ``score_trees``: what data-parallel wrappers wrap, so that their hooks
    run."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, trees: Sequence[Tree], token_budget: int = 8192, path: Path = "auto"
    ) -> list[list[Tensor]]:
        """See :func:`score_trees`."""
        return score_trees(self.model, trees, token_budget=token_budget, path=path)


def _only(found: list[list[tuple[Any, ...]]]) -> list[list[Any]]:
    return [[values[0] for values in branches] for branches in found]


def _check_request(token_budget: int, path: str) -> None:
    if path not in ("auto", "tree", "flat"):
        raise InputError(f"unknown path {path!r}; choose 'auto', 'tree' or 'flat'.")
    if token_budget < 1:
        raise InputError(f"token_budget is {token_budget}; it must be at least 1 (8192 is usual).")


def _own_budget(budget: int, pieces: Sequence[Piece], before: int) -> int:
    """The budget without the keys and values that each row holds of what is before all."""
    width = max((piece.length for piece in pieces), default=1)
    return max(1, budget * width // (width + before))


def _check_sizes(model: nn.Module, trees: Sequence[Tree], pieces: Sequence[Piece], before: int) -> None:
    """No position beyond the model's, and no token outside its vocabulary: both would index out of a
    table."""
    limit = getattr(unwrap(model).config.get_text_config(), "max_position_embeddings", None)
    longest = before + max((piece.reach for piece in pieces), default=0)
    if limit is not None and longest > limit:
        raise InputError(
            f"a prompt and its continuation take {longest} positions, but this model has {limit}; "
            "shorten the prompt, or choose a model with a longer context."
        )
    size = int(unwrap(model).get_input_embeddings().weight.shape[0])
    for tokens in (tokens for tree in trees for tokens in (tree.trunk, *tree.branches)):
        for token in (min(tokens, default=0), max(tokens, default=0)):
            if not 0 <= token < size:
                raise InputError(
                    f"token {token} is outside this model's vocabulary of {size}; "
                    "tokenise with the model's own tokenizer."
                )
