"""Sharded training: parameters, gradients and AdamW's moments are cut over the processes (FSDP2, ``fully_shard``).

Zhao et al. 2023, PyTorch FSDP, arXiv 2304.11277; Rajbhandari et al. 2020, ZeRO stage 3, arXiv 1910.02054. Each
decoder layer is gathered while it runs and cut again; embeddings, head and last norm stay whole for a pass. Gradients
are summed, not averaged: shares of the loss are already divided by the totals of the whole step.

Branch scoring enters the network below its outermost forward, so the root is a module whose forward runs a function.
Each run of the network is a round of collectives, so all processes must make the same runs in the same order: a
process with fewer passes repeats an example with weight zero, and within a pass it makes idle runs.

Example, two processes on a CPU (``torchrun --nproc-per-node 2 script.py``):

    train(model, batches, DPOObjective(), TrainingConfig(), sharded=True, checkpoint_folder=folder)
"""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from trueline.core.errors import InputError
from trueline.models.branches import plan, visit_trees
from trueline.models.forward.layers import layers_of
from trueline.models.forward.visiting import Seen, reading_of
from trueline.models.trees import Tree

from .readings import Reading
from .scoring import Forward, look_at

T = TypeVar("T")
_IDLE = Tree(trunk=(0,), branches=((0,),))  # what an idle run reads: any token that every vocabulary has


class _Root(nn.Module):
    """Whole outside the layers while a function runs within its forward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, run: Callable[[], T]) -> T:
        return run()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sharding:
    """A model cut over the processes. Its methods are collective: every process calls them, in one order."""

    accelerator: Accelerator
    root: nn.Module
    forward: Forward

    @property
    def model(self) -> nn.Module:
        """The cut model."""
        model: nn.Module = self.root.model  # type: ignore[assignment]
        return model

    def most(self, count: int) -> int:
        """The largest of the processes' numbers."""
        mine = torch.tensor([count], device=self.accelerator.device)
        return int(self.accelerator.gather(mine).max())

    def together(
        self, trees: Sequence[Tree], reads: Sequence[Reading], compute: Callable[[], tuple[Tensor, T]]
    ) -> tuple[Tensor, T]:
        """``compute``, which reads ``trees`` once, with idle runs for what other processes read more; it returns a
        loss (or any scalar) and what else there is. Without trees it is not to touch the network."""
        runs = self._runs(trees, reads)
        idle = self.most(runs) - runs

        def run() -> tuple[Tensor, T]:
            value, more = compute()
            for _ in range(idle):
                value = value + self._idle(reads)
            return value, more

        found: tuple[Tensor, T] = self.root(run)
        return found

    def _runs(self, trees: Sequence[Tree], reads: Sequence[Reading]) -> int:
        """Runs of the network that reading these trees takes."""
        if not trees:
            return 0
        places = reading_of([reading.place for reading in reads])
        budget, path = self.forward.budget, self.forward.path
        return len(plan(self.model, trees, token_budget=budget, path=path, reading=places).batches)

    def _idle(self, reads: Sequence[Reading]) -> Tensor:
        """Zero, from one run as deep as the readings go."""
        inner = sorted({layer for reading in reads for layer in reading.layers})
        last = any(not reading.layers for reading in reads)

        def look(seen: Seen) -> tuple[Tensor, ...]:
            return (*seen.inner.values(), *((seen.hidden,) if last else ()))

        with self.forward.autocast():
            found = visit_trees(self.model, [_IDLE], {"predicting": look}, inner=inner, last=last)
        return 0.0 * torch.stack([states.sum() for states in found["predicting"][0][0]]).sum()


def shard(model: nn.Module, accelerator: Accelerator, forward: Forward, reads: Sequence[Reading]) -> Sharding:
    """Cut ``model`` over the processes; its own parameters are emptied until :func:`give_back`."""
    if accelerator.num_processes == 1:
        raise InputError(
            "sharded training cuts a model over several processes, but there is one: start it with "
            "torchrun --nproc-per-node 2, or leave sharded out."
        )
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    # a second tree of modules around the same parameters: the caller's own never sees the hooks
    cut = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    look_at(cut, reads)  # its probes run layers without the root
    root = _Root(cut)
    for layer in layers_of(cut):
        fully_shard(layer, mesh=mesh)
    fully_shard(root, mesh=mesh)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo has no other reduction
    check_sharded({name: p for name, p in cut.named_parameters() if p.requires_grad})
    for parameter in model.parameters():
        parameter.data = parameter.data.new_empty(0)
    return Sharding(accelerator=accelerator, root=root, forward=forward)


def give_back(sharding: Sharding, model: nn.Module) -> None:
    """Put the gathered weights into the first process's ``model``, on the CPU; the others' stays empty."""
    for own, cut in zip(model.parameters(), sharding.model.parameters(), strict=True):
        gathered = whole(cut.detach())
        if sharding.accelerator.is_main_process:
            own.data = gathered


def check_sharded(named: Mapping[str, nn.Parameter]) -> None:
    """InputError unless every one of these parameters is cut."""
    for name, parameter in named.items():
        if not isinstance(parameter, DTensor):
            raise InputError(
                f"the parameter {name} is whole on every process although the training is to be sharded; give "
                "train() the plain model, not one that accelerate or another library has wrapped."
            )


def refuse_ignored_plugin(sharded: bool) -> None:
    """InputError where the launcher was told to shard and the call was not: that would be plain data parallel."""
    if not sharded and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1"):
        raise InputError(
            "accelerate was launched with use_fsdp, which does not shard this training (every process would hold "
            "all of the model); give train(..., sharded=True), or launch without use_fsdp."
        )


def whole(tensor: Tensor) -> Tensor:
    """A cut tensor gathered, on the CPU (every process must call it); another as it is."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def part_of(tensor: Tensor, like: Any) -> Tensor:
    """This process's part of a whole tensor, cut as the parameter ``like``, where that is cut."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    part: Tensor = distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
    return part
