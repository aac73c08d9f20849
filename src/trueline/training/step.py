"""One optimiser step: totals over the whole of it, passes that fit in memory, one clipped update.

Data parallel runs by summing gradients with accelerate rather than by wrapping the module: branch scoring
enters the network below its outermost forward, and processes may need unequal numbers of passes. Sharded runs
(``sharding.py``) have their gradients summed already.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from trueline.core.errors import InputError, UnfinishedError
from trueline.models.trees import Tree

from .batches import Example, Scored, passes
from .objectives.base import Loss, Objective, Totals
from .readings import LOGPS
from .scoring import Forward
from .sharding import Sharding


class NotFiniteError(Exception):
    """The loss or the gradient of a step is infinite or not a number; the weights were left alone."""

    def __init__(self, *, what: str, loss: float, examples: Sequence[int]) -> None:
        super().__init__(what)
        self.what, self.loss, self.examples = what, loss, examples

    def at(self, step: int, saved: FilePath | None) -> UnfinishedError:
        """The error for the user."""
        shown = ", ".join(map(str, self.examples[:8])) + (", …" if len(self.examples) > 8 else "")
        kept = f"the last good checkpoint is {saved}" if saved else "no checkpoint had been written yet"
        return UnfinishedError(
            f"the {self.what} of step {step} is not finite (loss {self.loss}, examples {shown}); {kept}: "
            "lower the learning rate or look at those examples."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What every step of a run needs."""

    accelerator: Accelerator
    model: nn.Module
    parameters: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer
    objective: Objective
    forward: Forward
    max_grad_norm: float = 1.0
    sharding: Sharding | None = None

    def read(self, examples: Sequence[Example]) -> Scored:
        """What the objective reads of some examples."""
        given = {name: [e.given[name] for e in examples] for name in _carried(examples)}
        trees = [example.tree for example in examples]
        outputs = self.forward.outputs(self.model, trees, self.objective.reads, given)
        return Scored(examples=examples, outputs=outputs)

    def score(self, trees: Sequence[Tree]) -> list[list[Tensor]]:
        """The policy's log-probabilities, per tree and branch [T]."""
        if self.sharding is None:
            return self.forward.outputs(self.model, trees, (LOGPS,))[LOGPS.name]

        def compute() -> tuple[Tensor, list[list[Tensor]]]:
            return torch.zeros(()), self.forward.outputs(self.model, trees, (LOGPS,))[LOGPS.name]

        return self.sharding.together(trees, (LOGPS,), compute)[1]

    def passes(
        self, mine: Sequence[Example], everyone: Sequence[Example]
    ) -> list[tuple[list[Example], float]]:
        """This process's passes with their weight; where other shards need more, one example at weight zero."""
        groups = [(group, 1.0) for group in passes(mine, self.forward.budget)]
        if self.sharding is None:
            return groups
        short = min(everyone, key=lambda example: (example.tokens, example.index))
        return groups + [([short], 0.0)] * (self.sharding.most(len(groups)) - len(groups))

    def share(self, group: Sequence[Example], totals: Totals, weight: float) -> Loss:
        """A pass's share of the loss."""

        def compute() -> tuple[Tensor, Mapping[str, Tensor]]:
            loss = self.objective.loss(self.read(group), totals)
            return weight * loss.value, {name: weight * value for name, value in loss.metrics.items()}

        if self.sharding is None:
            value, metrics = compute()
        else:
            trees = [example.tree for example in group]
            value, metrics = self.sharding.together(trees, self.objective.reads, compute)
        return Loss(value=value, metrics=metrics)


def optimiser_step(work: Work, examples: Sequence[Example], learning_rate: float) -> dict[str, float]:
    """Learn from ``examples`` (of all processes) once; returns loss, gradient norm and metrics."""
    accelerator, objective = work.accelerator, work.objective
    mine = examples[accelerator.process_index :: accelerator.num_processes]
    _check_reference(mine, objective)
    with torch.no_grad():
        totals = _sum(accelerator, objective.totals(mine, work.score))
    losses: list[Loss] = []
    groups = work.passes(mine, examples)
    for group, weight in groups:
        loss = work.share(group, totals, weight)
        torch.autograd.backward(loss.value)
        losses.append(Loss(value=loss.value.detach(), metrics=loss.metrics))
    if work.sharding is None:
        _sum_gradients(accelerator, work.parameters)
    norm = nn.utils.clip_grad_norm_(work.parameters, work.max_grad_norm)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    line = _line(accelerator, objective, losses, norm)
    if not (math.isfinite(line["loss"]) and math.isfinite(line["grad_norm"])):
        work.optimizer.zero_grad(set_to_none=True)
        bad = [
            e.index
            for loss, (group, _) in zip(losses, groups)
            if not math.isfinite(float(loss.value))
            for e in group
        ]
        everyone = [example.index for example in examples]
        raise NotFiniteError(what="loss" if bad else "gradient", loss=line["loss"], examples=bad or everyone)
    for settings in work.optimizer.param_groups:
        settings["lr"] = learning_rate
    work.optimizer.step()
    work.optimizer.zero_grad(set_to_none=True)
    return line


def _carried(examples: Sequence[Example]) -> set[str]:
    """The names of per-token numbers that all of them carry."""
    return set.intersection(*(set(example.given) for example in examples))


def _check_reference(examples: Sequence[Example], objective: Objective) -> None:
    for example in examples:
        if objective.reference and example.reference is None:
            raise InputError(
                f"{objective.name} compares with a reference model, but example {example.index} carries no "
                "reference log-probabilities; compute them first with trueline.training.reference."
            )


def _sum(accelerator: Accelerator, totals: Mapping[str, float]) -> dict[str, float]:
    """Totals over all processes."""
    if accelerator.num_processes == 1:
        return dict(totals)
    names = sorted(totals)
    values = torch.tensor([totals[name] for name in names], dtype=torch.float64, device=accelerator.device)
    return dict(zip(names, accelerator.reduce(values, "sum").tolist()))


def _sum_gradients(accelerator: Accelerator, parameters: Sequence[nn.Parameter]) -> None:
    """Add the processes' gradients up; shares are already divided by the whole step's totals."""
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = accelerator.reduce(gradient, "sum")


def _line(
    accelerator: Accelerator, objective: Objective, losses: Sequence[Loss], norm: Tensor
) -> dict[str, float]:
    """Loss, gradient norm and metrics of a step: the one transfer from the device that a step makes."""
    names = objective.metrics
    columns = [[loss.value for loss in losses]] + [[loss.metrics[name] for loss in losses] for name in names]
    zero = torch.zeros((), dtype=norm.dtype, device=norm.device)
    sums = torch.stack(
        [torch.stack([zero, *(value.to(norm) for value in column)]).sum() for column in columns]
    )
    if accelerator.num_processes > 1:
        sums = accelerator.reduce(sums, "sum")
    values = torch.cat([sums, norm.reshape(1)]).tolist()
    return dict(zip(["loss", *names, "grad_norm"], values))
