"""Read what an objective asks for: all its readings of some examples in one forward pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trueline.models.branches import Path, choose_path, visit_trees
from trueline.models.forward.heads import read_hidden
from trueline.models.forward.paths import head_of
from trueline.models.forward.visiting import Look, Place, Seen
from trueline.models.trees import Tree

from .batches import Example, passes
from .config import Precision
from .readings import LogitReading, Reading, names_of

Given = Mapping[str, Sequence[Sequence[Tensor]]]  # name -> per tree and branch [T, ...]
Outputs = dict[str, list[list[Any]]]  # reading -> per tree and branch what was read


def outputs_of(
    model: nn.Module,
    trees: Sequence[Tree],
    reads: Sequence[Reading],
    *,
    token_budget: int,
    path: Path = "auto",
    given: Given | None = None,
) -> Outputs:
    """Each reading, per tree and branch. ``given`` is what the examples carry for the readings."""
    if not trees:
        return {name: [] for name in names_of(tuple(reads))}
    at: dict[Place, list[Reading]] = {}
    for reading in reads:
        at.setdefault(reading.place, []).append(reading)
    found = visit_trees(
        model,
        trees,
        {place: _look(model, readings, given or {}) for place, readings in at.items()},
        inner=sorted({layer for reading in reads for layer in reading.layers}),
        last=any(not reading.layers for reading in reads),
        token_budget=token_budget,
        path=path,
    )
    return {
        reading.name: [[values[i] for values in branches] for branches in found[place]]
        for place, readings in at.items()
        for i, reading in enumerate(readings)
    }


def _look(model: nn.Module, readings: Sequence[Reading], given: Given) -> Look:
    """What the readings of one place see, in their order; those of logits share one computation of them."""
    of_logits = [reading for reading in readings if isinstance(reading, LogitReading)]

    def look(seen: Seen) -> tuple[Any, ...]:
        found: dict[str, Any] = {}
        if of_logits:
            readers = [reading.reader for reading in of_logits]
            values = read_hidden(head_of(model), seen.hidden, seen.targets, readers)
            found = {reading.name: value for reading, value in zip(of_logits, values)}
        aligned = {name: _align(seen, tensors) for name, tensors in given.items()} if given else {}
        for reading in readings:
            if reading.name not in found:
                found[reading.name] = reading.read(model, seen, aligned)
        return tuple(found[reading.name] for reading in readings)

    return look


def _align(seen: Seen, tensors: Sequence[Sequence[Tensor]]) -> Tensor:
    """A named tensor of the examples at the positions seen: [P, ...]."""
    rows = [tensors[tree][branch][-size:] if size else tensors[tree][branch][:0]
        for tree, branch, size in seen.order]  # fmt: skip
    return torch.cat(rows).to(seen.hidden.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """How a run computes: its device, its precision, the tokens of one pass, the path of branch scoring, and whether
    the model is cut over processes."""

    device: torch.device
    precision: Precision
    budget: int
    path: Path = "auto"
    sharded: bool = False

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Weights stay in fp32; at "bf16" the network computes in it."""
        on = self.precision == "bf16"
        # autocast would keep its copies of all layers that a sharded model has let go
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=on, cache_enabled=not self.sharded
        ):
            yield

    def outputs(
        self,
        model: nn.Module,
        trees: Sequence[Tree],
        reads: Sequence[Reading],
        given: Given | None = None,
    ) -> Outputs:
        """Each reading, per tree and branch."""
        with self.autocast():
            return outputs_of(model, trees, reads, token_budget=self.budget, path=self.path, given=given)

    def fixed(
        self,
        model: nn.Module,
        examples: Sequence[Example],
        reads: Sequence[Reading],
        progress: Callable[[int], None] = lambda done: None,
    ) -> dict[str, list[list[Tensor]]]:
        """Readings of any number of examples without gradients and dropout, on the CPU."""
        found: dict[str, dict[int, list[Tensor]]] = {reading.name: {} for reading in reads}
        place = {id(example): i for i, example in enumerate(examples)}
        training = model.training
        model.eval()  # a reference is one number, not a draw
        done = 0
        with torch.no_grad():
            for group in passes(examples, self.budget):
                for name, read in self.outputs(model, [e.tree for e in group], reads).items():
                    for example, branches in zip(group, read):
                        found[name][place[id(example)]] = [branch.cpu() for branch in branches]
                done += len(group)
                progress(done)
        model.train(training)
        return {name: [rows[i] for i in range(len(examples))] for name, rows in found.items()}


def look_at(model: nn.Module, reads: Sequence[Reading]) -> None:
    """Refuse readings that the model does not allow, and let branch scoring find out its path now: its probe
    compares numbers, which autocast would blur."""
    names_of(tuple(reads))
    choose_path(model)
    for reading in reads:
        reading.check(model)
