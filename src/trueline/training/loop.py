"""The training loop: one for every method, never subclassed.

An objective says what it needs (objectives/base.py); ``batches`` says what comes in which step; ``step.py``
does one optimiser step. The loop sets the learning rate and the random stream of each step, keeps the
history, and writes checkpoints.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

import torch
from accelerate import Accelerator
from torch import nn

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.models.branches import Path

from . import checkpoints
from .batches import Batches, Example, LiveBatches, with_mismatched
from .budget import ComputeBudget
from .config import TrainingConfig, learning_rate_at
from .flops import forward_flops, model_size, training_flops
from .objectives.base import Objective
from .scoring import Forward, look_at
from .sharding import give_back, part_of, refuse_ignored_plugin, shard, whole
from .step import NotFiniteError, Work, optimiser_step

Progress = Callable[[int, int, str], None]
SAVE_SECONDS = 600.0  # a checkpoint is written after so long, however few steps that was


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """What a finished run did.

    ``history`` has a line a step: step, loss, grad_norm (before clipping), learning_rate, tokens (read),
    answer_tokens, seconds, the objective's metrics, and those of rollouts. ``costs`` are tokens, flops
    (flops.py) and seconds in all, resumed parts included. ``stopped`` says why it ended before its last step.
    """

    identity: str
    history: Sequence[Mapping[str, float]] = field(default_factory=list)
    costs: Mapping[str, float] = field(default_factory=dict)
    stopped: str | None = None


def run_identity(base: str, batches: Batches, objective: Objective, config: TrainingConfig) -> str:
    """What makes two runs the same: the model trained (``base``), data and order, objective, configuration.

    Left out is what does not change the trajectory: how often checkpoints are written, how a step is split.
    """
    dials = [n for n in config.__dataclass_fields__ if n not in ("checkpoint_every", "token_budget")]
    return fingerprint(
        {
            "base": base,
            "batches": batches.fingerprint(),
            "method": objective.name,
            "objective": objective,
            "config": {name: getattr(config, name) for name in dials},
        }
    )


def train(
    model: nn.Module,
    batches: Batches,
    objective: Objective,
    config: TrainingConfig,
    *,
    base: str = "",
    spent: Mapping[str, float] | None = None,
    checkpoint_folder: FilePath | None = None,
    progress: Progress = lambda done, total, words: None,
    path: Path = "auto",
    cpu: bool = False,
    sharded: bool = False,
) -> TrainingRun:
    """Train ``model`` in place and return what was done.

    With ``checkpoint_folder`` it goes on from the newest checkpoint there, on the same trajectory. ``base``
    names the model's starting weights (a fingerprint). ``path`` is that of branch scoring. ``cpu`` keeps
    the training off an accelerator that is there. Under ``accelerate launch`` every process calls this, and
    the first one writes. ``sharded`` cuts weights, gradients and moments over the processes, and gives the
    trained model back to the first one only, on the CPU (``sharding.py``). ``spent`` is what of the
    configuration's budget is gone already. Raises InputError where objective and data do not fit or the budget
    does not pay for a step, UnfinishedError where the loss is not finite or a checkpoint cannot be written.
    """
    _check(batches, objective)
    live = batches if isinstance(batches, LiveBatches) else None
    if sharded and live is not None:
        raise InputError(
            f"{objective.name} draws answers from the model while it trains, which a sharded model does not serve; "
            "leave sharded out."
        )
    refuse_ignored_plugin(sharded)
    accelerator = Accelerator(cpu=cpu)
    model.to(accelerator.device)
    if any(p.dtype in (torch.bfloat16, torch.float16) for p in model.parameters()):
        model.float()  # master weights: in half precision an update of a millionth is lost
    look_at(model, objective.reads)
    model.train(objective.dropout)
    device, size = accelerator.device, model_size(model)
    forward = Forward(
        device=device,
        precision=config.precision,
        budget=config.pass_tokens(device.type),
        path=path,
        sharded=sharded,
    )
    sharding = shard(model, accelerator, forward, objective.reads) if sharded else None
    trained = model if sharding is None else sharding.model
    named = {name: p for name, p in trained.named_parameters() if p.requires_grad}
    if not named:
        raise InputError("the model has no parameter that requires a gradient: there is nothing to train.")
    run = _Run(
        named=named,
        optimizer=_optimizer(named, config),
        identity=run_identity(base, batches, objective, config),
    )
    if live is not None:
        live.begin(model, forward, accelerator)
    if checkpoint_folder is not None:
        run.resume(checkpoint_folder)
    if live is not None:
        live.follow(run.history)
    work = Work(
        accelerator=accelerator,
        model=trained,
        parameters=list(named.values()),
        optimizer=run.optimizer,
        objective=objective,
        forward=forward,
        max_grad_norm=config.max_grad_norm,
        sharding=sharding,
    )
    at = getattr(objective, "at", None)
    budget, stopped = config.budget, None
    total = batches.steps if budget is None else sys.maxsize
    if budget is not None and budget.currency == "seconds" and accelerator.num_processes > 1:
        raise InputError("a budget in seconds is read off one clock, but several processes train; use flops.")
    with torch.random.fork_rng(devices=[accelerator.device] if accelerator.device.type == "cuda" else []):
        while run.step < total and not (live and live.stopped):
            started = time.perf_counter()
            torch.manual_seed(_stream(config.seed, run.step, accelerator.process_index))
            examples = batches.batch(run.step)
            flops = training_flops(size, [example.tree for example in examples])
            flops += forward_flops(size, [e.mismatched.tree for e in examples if e.mismatched is not None])
            flops += live.flops() if live is not None else 0.0
            if budget is not None:
                coming = {"flops": flops, "tokens": float(sum(e.tokens for e in with_mismatched(examples)))}
                total = _affordable(budget, run, dict(spent or {}), coming.get(budget.currency))
                if total == run.step:
                    stopped = f"the budget of {budget.amount:g} {budget.currency} is spent"
                    break
            rate = learning_rate_at(run.step, total, config)
            if at is not None:
                work = replace(work, objective=at((run.step + 1) / total))
            try:
                line = optimiser_step(work, examples, rate)
            except NotFiniteError as fault:
                raise fault.at(run.step, run.saved) from None
            line = {**line, "learning_rate": rate}
            if live is not None:
                line = {**line, **live.metrics()}
            run.account(line, examples, flops, time.perf_counter() - started)
            if live is not None:
                live.follow(run.history)
            progress(run.step, total, f"{objective.name}: loss {line['loss']:.4f}")
            due = run.step - run.kept >= config.checkpoint_every
            # by each process's own clock, so only where there is no other to wait for
            due = due or (accelerator.num_processes == 1 and run.seconds_since_saved > SAVE_SECONDS)
            due = due and (live is None or live.whole(run.step))
            due = due or run.step == total or (live is not None and live.stopped is not None)
            if checkpoint_folder is not None and due:
                run.save(checkpoint_folder, write=accelerator.is_main_process)
                accelerator.wait_for_everyone()
    if sharding is not None:
        give_back(sharding, model)
    model.eval()
    stopped = stopped or (None if live is None else live.stopped)
    return TrainingRun(identity=run.identity, history=run.history, costs=run.costs, stopped=stopped)


def _affordable(budget: ComputeBudget, run: "_Run", spent: Mapping[str, float], coming: float | None) -> int:
    """Steps in all that the budget is seen to pay for; InputError where it does not pay for the first."""
    gone = spent.get(budget.currency, 0.0)
    total = budget.steps(done=run.step, spent=gone, costs=run.costs, coming=coming)
    if total == 0:
        raise InputError(
            f"a budget of {budget.amount:g} {budget.currency} does not pay for a step: {gone:g} went before it and "
            f"the step takes {coming or 0:g}; give more."
        )
    return total


def _check(batches: Batches, objective: Objective) -> None:
    if batches.kind != objective.batch:
        raise InputError(
            f"{objective.name} learns from {objective.batch}, but the data are {batches.kind}; "
            f"give {objective.batch} or choose another method."
        )


def _optimizer(named: Mapping[str, nn.Parameter], config: TrainingConfig) -> torch.optim.AdamW:
    # decay draws matrices towards zero; on the gains of norms and on biases it has no such meaning
    decayed = [p for p in named.values() if p.ndim >= 2]
    others = [p for p in named.values() if p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


def _stream(seed: int, step: int, process: int) -> int:
    """The random stream of a step: a function of its place, so that a resumed run needs no saved state."""
    return int(fingerprint([seed, step, process])[:15], 16)


@dataclass(slots=True, kw_only=True)
class _Run:
    """Where a run stands."""

    named: Mapping[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    identity: str
    step: int = 0
    history: list[Mapping[str, float]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=lambda: {"tokens": 0.0, "flops": 0.0, "seconds": 0.0})
    saved: FilePath | None = None
    kept: int = 0  # the step that was saved last
    kept_at: float = field(default_factory=time.monotonic)

    @property
    def seconds_since_saved(self) -> float:
        """Since the last checkpoint, or the start."""
        return time.monotonic() - self.kept_at

    @property
    def order(self) -> list[str]:
        """Names of the parameters in the optimiser's order."""
        names = {id(parameter): name for name, parameter in self.named.items()}
        return [names[id(p)] for group in self.optimizer.param_groups for p in group["params"]]

    def resume(self, folder: FilePath) -> None:
        """Go on from the newest checkpoint, if there is one."""
        self.saved = checkpoints.latest(folder)
        if self.saved is None:
            return
        found = checkpoints.read(self.saved, self.identity)
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(part_of(found.weights[name], parameter))
        moments = {
            key: part_of(value, self.named[key.split("/", 1)[1]]) for key, value in found.optimizer.items()
        }
        checkpoints.restore_optimizer(self.optimizer, self.order, moments)
        self.step, self.history, self.costs = found.step, list(found.history), dict(found.costs)
        self.kept = self.step

    def save(self, folder: FilePath, *, write: bool) -> None:
        """Write this moment (one process does; all of them gather what is cut)."""
        self.kept, self.kept_at = self.step, time.monotonic()
        moments = checkpoints.optimizer_tensors(self.optimizer, self.order)
        weights = {name: whole(p.detach()) for name, p in self.named.items()}
        moments = {name: whole(value) for name, value in moments.items()}
        if not write:
            return
        self.saved = checkpoints.write(
            folder,
            checkpoints.Checkpoint(
                step=self.step,
                identity=self.identity,
                weights=weights,
                optimizer=moments,
                history=self.history,
                costs=self.costs,
            ),
        )

    def account(
        self, line: Mapping[str, float], examples: Sequence[Example], flops: float, seconds: float
    ) -> None:
        """Count a finished step."""
        tokens = float(sum(example.tokens for example in with_mismatched(examples)))
        answer_tokens = float(sum(example.answer_tokens for example in examples))
        self.history.append(
            {
                "step": float(self.step),
                **line,
                "tokens": tokens,
                "answer_tokens": answer_tokens,
                "seconds": seconds,
            }
        )
        for name, value in (("tokens", tokens), ("flops", flops), ("seconds", seconds)):
            self.costs[name] += value
        self.step += 1
