"""The one primitive: a prompt and its branches, scored.

Choosing between options, a preference pair, a ranked list, a group of rollouts, a set of canaries: each is
one prompt with K continuations. Trees are packed into rows up to a token budget, each branch sees its trunk
and itself, positions restart at each branch, and only the predicting positions go through the head, in
chunks, to *readers*. Two paths give the same numbers: *tree* (one masked row) and *flat* (a plain causal row
a branch), which serves where a tree is not exact (recurrent layers) or not worth it (one branch, or short
trunks). ``plan`` says which was taken and what it saves.

On a GPU above about 4 k tokens a row, flex attention would be the faster mask; it is not built here.

Shapes: T tokens of a branch, D hidden units.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError

from .heads import read_hidden
from .packing import Batch, Piece, Read, Reading, lay_out, pack, worth_sharing
from .paths import head_of, known, run_body, unwrap
from .readers import Reader, log_probability
from .trees import Tree, build_tree

__all__ = ["BranchScorer", "Path", "Plan", "Tree", "build_tree", "choose_path", "final_states", "plan",
       "predicting_states", "score_trees"]  # fmt: skip

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
) -> Plan:
    """How these trees would be scored.

    ``auto`` shares a trunk where that is exact and cheaper; ``tree`` shares every trunk, and raises
    InputError on a model where that is not exact; ``flat`` gives each branch its own row.
    """
    _check_request(token_budget, path)
    found = known(model)
    if path == "tree" and found.path != "tree":
        raise InputError(f"path 'tree' is not exact on this model ({found.reason}); use 'auto' or 'flat'.")
    hidden = int(unwrap(model).config.get_text_config().hidden_size)
    masked: list[Piece] = []
    plain: list[Piece] = []
    shared_trees = 0
    for index, tree in enumerate(trees):
        shared = path == "tree" or (path == "auto" and found.path == "tree" and worth_sharing(tree, hidden))
        shared_trees += shared
        (masked if shared else plain).extend(lay_out(tree, index, shared=shared, reading=reading))
    _check_sizes(model, trees, masked + plain)
    batches = pack(masked, budget=token_budget, masked=True) + pack(plain, budget=token_budget, masked=False)
    return Plan(
        batches=tuple(batches),
        reason=found.reason,
        shared_trees=shared_trees,
        flat_trees=len(trees) - shared_trees,
        separate_tokens=sum(len(tree.trunk) + len(branch) for tree in trees for branch in tree.branches),
    )


@overload
def score_trees(
    model: nn.Module, trees: Sequence[Tree], *, token_budget: int = 8192, path: Path = "auto"
) -> list[list[Tensor]]: ...


@overload
def score_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    readers: Sequence[Reader],
) -> list[list[tuple[Any, ...]]]: ...


def score_trees(
    model: nn.Module,
    trees: Sequence[Tree],
    *,
    token_budget: int = 8192,
    path: Path = "auto",
    readers: Sequence[Reader] | None = None,
) -> list[list[Any]]:
    """For each tree and branch, the log-probabilities of its tokens: [T], fp32 (fp64 on an fp64 model), in
    nats.

    With ``readers``, each branch gets a tuple with what each reader says of its tokens instead.
    Differentiable when gradients are enabled; training or evaluation mode is left as the caller set it
    (dropout makes the two paths differ). Raises InputError for a sequence beyond the model's positions or a
    token outside its vocabulary.
    """
    head = head_of(model)

    def read(hidden: Tensor, targets: Tensor) -> tuple[Any, ...]:
        return read_hidden(head, hidden, targets, readers or (log_probability,))

    scored = _visit(model, trees, token_budget, path, "predicting", read)
    return scored if readers else [[values[0] for values in branches] for branches in scored]


def predicting_states(
    model: nn.Module, trees: Sequence[Tree], *, token_budget: int = 8192, path: Path = "auto"
) -> list[list[Tensor]]:
    """For each tree and branch, the last hidden states of the positions that predict its tokens: [T, D]."""
    return _first(_visit(model, trees, token_budget, path, "predicting", lambda hidden, targets: (hidden,)))


def final_states(
    model: nn.Module, trees: Sequence[Tree], *, token_budget: int = 8192, path: Path = "auto"
) -> list[list[Tensor]]:
    """For each tree and branch, the last hidden state at its last token: [D], as reward models read it."""
    states = _first(_visit(model, trees, token_budget, path, "final", lambda hidden, targets: (hidden,)))
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


def _visit(
    model: nn.Module,
    trees: Sequence[Tree],
    token_budget: int,
    path: Path,
    reading: Reading,
    read: Callable[[Tensor, Tensor], tuple[Any, ...]],
) -> list[list[tuple[Any, ...]]]:
    """Run the plan, and give ``read`` the hidden states [P, D] and target tokens [P] of a batch at a time."""
    work = plan(model, trees, token_budget=token_budget, path=path, reading=reading)
    _log.debug("%s", work.describe())
    layers = known(model).layers
    found: list[list[Any]] = [[None] * len(tree.branches) for tree in trees]
    for batch in work.batches:
        reads, columns = _columns(batch)
        targets = [token for r in reads for token in trees[r.tree].branches[r.branch][: len(r.columns)]]
        hidden = run_body(model, batch, layers).flatten(0, 1)
        hidden = hidden[torch.tensor(columns, dtype=torch.long, device=hidden.device)]
        values = read(hidden, torch.tensor(targets, dtype=torch.long, device=hidden.device))
        for r, part in zip(reads, _cut(values, [len(r.columns) for r in reads])):
            found[r.tree][r.branch] = part
    return found


def _columns(batch: Batch) -> tuple[list[Read], list[int]]:
    """The reads of a batch, and their columns in the batch's flattened rows."""
    reads: list[Read] = []
    columns: list[int] = []
    for number, row in enumerate(batch.rows):
        start = number * batch.width
        for piece in row:
            for read in piece.reads:
                reads.append(read)
                columns.extend(start + column for column in read.columns)
            start += piece.length
    return reads, columns


def _cut(values: Any, sizes: list[int]) -> list[Any]:
    """A tensor, or a nested (named) tuple of tensors, split along its first dimension."""
    if isinstance(values, Tensor):
        return list(torch.split(values, sizes))
    parts = zip(*(_cut(value, sizes) for value in values))
    return [type(values)(*part) if hasattr(values, "_fields") else tuple(part) for part in parts]


def _first(scored: list[list[tuple[Any, ...]]]) -> list[list[Tensor]]:
    return [[values[0] for values in branches] for branches in scored]


def _check_request(token_budget: int, path: str) -> None:
    if path not in ("auto", "tree", "flat"):
        raise InputError(f"unknown path {path!r}; choose 'auto', 'tree' or 'flat'.")
    if token_budget < 1:
        raise InputError(f"token_budget is {token_budget}; it must be at least 1 (8192 is usual).")


def _check_sizes(model: nn.Module, trees: Sequence[Tree], pieces: Sequence[Piece]) -> None:
    """No position beyond the model's, and no token outside its vocabulary: both would index out of a
    table."""
    limit = getattr(unwrap(model).config.get_text_config(), "max_position_embeddings", None)
    longest = max((piece.reach for piece in pieces), default=0)
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
