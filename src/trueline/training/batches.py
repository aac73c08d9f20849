"""Training examples, their seeded order, and passes that fit in memory.

Legend: E examples, K branches (answers) an example, T tokens of a branch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.models.trees import Tree

if TYPE_CHECKING:
    from .scoring import Forward

BatchKind = Literal["sequences", "labelled", "pairs", "ranked", "groups"]
BRANCHES: Mapping[BatchKind, int | None] = {
    "sequences": 1,
    "labelled": 1,
    "pairs": 2,
    "ranked": None,
    "groups": None,
}  # how many answers an example of each kind has; None: any number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """One training example: a prompt with its answers, and what is known of them.

    A pair's branches are (chosen, rejected). ``facts`` are named numbers, as many a name as the objective
    reads (a margin, a label, advantages). ``reference`` holds the reference model's log-probabilities, one
    tensor [T] a branch; ``given`` any other numbers of the tokens by name, one tensor [T, ...] a branch (a
    behaviour policy's log-probabilities, a teacher's hidden states). ``index`` is the example's place in its
    data set. ``mismatched`` is its prompt with an answer to another one, scored but never learnt (KTO).
    """

    tree: Tree
    index: int
    facts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    reference: tuple[Tensor, ...] | None = None
    given: Mapping[str, tuple[Tensor, ...]] = field(default_factory=dict)
    mismatched: "Example | None" = None

    @property
    def tokens(self) -> int:
        """Tokens that the network reads for it: the prompt once, and every answer."""
        return len(self.tree.trunk) + self.answer_tokens

    @property
    def answer_tokens(self) -> int:
        """Tokens that are learnt from, all answers together, end tokens included."""
        return sum(len(branch) for branch in self.tree.branches)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """What the model says of some examples.

    ``outputs[name][e][k]`` is what was read under that name from branch k of example e: [T] log-probabilities,
    [1] a reward ... (``readings``). Where no name is given, the objective's first reading is meant.
    """

    examples: Sequence[Example]
    outputs: Mapping[str, Sequence[Sequence[Tensor]]]

    def of(self, name: str | None = None) -> Sequence[Sequence[Tensor]]:
        """One reading, per example and branch."""
        return self.outputs[name or next(iter(self.outputs))]

    def flat(self, name: str | None = None) -> Tensor:
        """One reading of all branches one after the other, [sum of T, ...]."""
        return torch.cat([branch for branches in self.of(name) for branch in branches])

    def sums(self, name: str | None = None) -> Tensor:
        """One reading summed over each branch, [E, K]; all examples must have the same K."""
        return _sums(self.of(name))

    def reference_flat(self) -> Tensor:
        """The reference model's log-probabilities of all tokens one after the other, [sum of T]."""
        rows = [branch for example in self.examples for branch in _reference(example)]
        return torch.cat(rows).to(self._like)

    def reference_sums(self) -> Tensor:
        """The reference model's summed log-probability of each branch, [E, K]."""
        return _sums([_reference(example) for example in self.examples]).to(self._like)

    def given(self, name: str) -> Tensor:
        """What the examples carry for each token under a name, all branches one after the other."""
        for example in self.examples:
            if name not in example.given:
                raise InputError(f"example {example.index} carries no {name!r}, which this objective needs.")
        return torch.cat([branch for e in self.examples for branch in e.given[name]]).to(self._like)

    def lengths(self) -> Tensor:
        """Tokens of each branch, [E, K], as floats."""
        counts = [[float(len(branch)) for branch in example.tree.branches] for example in self.examples]
        return torch.tensor(counts).to(self._like)

    def fact(self, name: str, default: float | None = None) -> Tensor:
        """A named fact of each example, [E, numbers]; ``default`` is taken where it is absent."""
        rows = [example.facts.get(name, None if default is None else (default,)) for example in self.examples]
        for example, row in zip(self.examples, rows):
            if row is None:
                raise InputError(f"example {example.index} has no {name!r}, which this objective needs.")
        return torch.tensor(rows).to(self._like)

    def branch_facts(self, name: str) -> Tensor:
        """A fact with a number a branch, all branches one after the other, [sum of K]."""
        rows = [example.facts.get(name, ()) for example in self.examples]
        for example, row in zip(self.examples, rows):
            if len(row) != len(example.tree.branches):
                raise InputError(
                    f"example {example.index} has {len(row)} {name} for {len(example.tree.branches)} answers, "
                    "but this objective needs one each."
                )
        return torch.tensor([value for row in rows for value in row]).to(self._like)

    @property
    def _like(self) -> Tensor:
        return self.of()[0][0]


def _reference(example: Example) -> Sequence[Tensor]:
    assert example.reference is not None, "the loop refuses examples without reference before the first step"
    return example.reference


def _sums(outputs: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([torch.stack([branch.sum() for branch in branches]) for branches in outputs])


class Batches(Protocol):
    """Where the loop gets each optimiser step's examples: a data set in order, or fresh rollouts."""

    @property
    def kind(self) -> BatchKind: ...

    @property
    def steps(self) -> int: ...

    def batch(self, step: int) -> Sequence[Example]:
        """The examples of a whole optimiser step (of all processes)."""

    def fingerprint(self) -> str:
        """A digest of what is given in which order."""


@runtime_checkable
class LiveBatches(Batches, Protocol):
    """Batches that are made with the model that is being trained.

    All that they must remember is in the run's history, so a resumed run goes on as if it had never stopped.
    """

    @property
    def stopped(self) -> str | None:
        """Why training is to end before its last step, or None."""

    def begin(self, model: nn.Module, forward: "Forward", accelerator: Any) -> None:
        """Before the first step; ``model`` has the weights that the run starts from, also in a resumed run."""

    def whole(self, step: int) -> bool:
        """Whether a run can go on from here: at ``step`` nothing is left over from a batch made earlier."""

    def follow(self, history: Sequence[Mapping[str, float]]) -> None:
        """After each step, and after a resumed run's weights have been put back."""

    def metrics(self) -> Mapping[str, float]:
        """What is known of the last batch, for its line of the history."""

    def flops(self) -> float:
        """Floating-point operations that making the last batch took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededBatches:
    """A data set in a seeded order, newly permuted every epoch; an epoch's last batch may be smaller.

    ``order`` gives the places of one epoch explicitly and is repeated as it is (parity tests).
    """

    kind: BatchKind
    examples: Sequence[Example]
    batch_size: int
    epochs: float = 1.0
    limit: int | None = None
    seed: int = 0
    order: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if not self.examples:
            raise InputError("there is nothing to train on: the data has no usable example; give one.")
        need = BRANCHES[self.kind]
        for example in self.examples:
            have = len(example.tree.branches)
            if need is not None and have != need:
                raise InputError(
                    f"example {example.index} has {have} answers, but {self.kind} need {need} a prompt."
                )

    @property
    def per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return -(-len(self.examples) // self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps in all; ``limit`` overrides the epochs."""
        return self.limit if self.limit is not None else max(1, round(self.epochs * self.per_epoch))

    def batch(self, step: int) -> Sequence[Example]:
        """The examples of one optimiser step."""
        epoch, place = divmod(step, self.per_epoch)
        order = self.order
        if order is None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples)).tolist()
        start = place * self.batch_size
        return [self.examples[i] for i in order[start : start + self.batch_size]]

    def fingerprint(self) -> str:
        """A digest of tokens, facts and order."""
        return fingerprint(
            {
                "kind": self.kind,
                "examples": examples_digest(self.examples),
                "batch_size": self.batch_size,
                "steps": self.steps,
                "seed": self.seed,
                "order": None if self.order is None else list(self.order),
            }
        )


def with_mismatched(examples: Sequence[Example]) -> list[Example]:
    """The examples, and after them their mismatched ones: all that a model reads."""
    return [*examples, *(e.mismatched for e in examples if e.mismatched is not None)]


def examples_digest(examples: Sequence[Example]) -> str:
    """A digest of the examples' tokens and facts, in their order."""
    return fingerprint(
        [
            [list(e.tree.trunk), [list(b) for b in e.tree.branches], {k: list(v) for k, v in e.facts.items()}]
            for e in with_mismatched(examples)
        ]
    )


def passes(examples: Sequence[Example], token_budget: int) -> Iterator[list[Example]]:
    """Split an optimiser step into forward passes of at most ``token_budget`` tokens, the longest first.

    Longest first, so that rows of a pass are alike and a model that is too big fails at once. An example
    longer than the budget gets a pass of its own.
    """
    group: list[Example] = []
    tokens = 0
    for example in sorted(examples, key=lambda e: (-e.tokens, e.index)):
        if group and tokens + example.tokens > token_budget:
            yield group
            group, tokens = [], 0
        group.append(example)
        tokens += example.tokens
    if group:
        yield group


def with_reference(example: Example, reference: Sequence[Tensor]) -> Example:
    """The example with the reference model's log-probabilities."""
    return replace(example, reference=tuple(reference))
