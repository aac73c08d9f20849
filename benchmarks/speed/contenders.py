"""Who runs: our loop, trl's trainers, and a bare forward and backward pass over the tokens that we read."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trl
from datasets import Dataset, disable_progress_bars
from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging

from trueline.training.batches import Example, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.reference import add_reference

from .measuring import now, typical
from .methods import PER_STEP, Method, Row
from .models import load

RATE = 1e-4


def quiet() -> None:
    """Neither bars nor notices of libraries."""
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and how everybody runs."""

    folder: Path
    steps: int
    prompts: str = "long"
    device: str = "cpu"
    precision: str = "fp32"

    def autocast(self) -> Any:
        """The precision, around a network."""
        on = self.precision == "bf16"
        return torch.autocast(self.device, dtype=torch.bfloat16) if on else nullcontext()

    def arguments(self, work: Path) -> dict[str, Any]:
        """What all of trl's trainers are given."""
        return {
            "output_dir": str(work),
            "max_steps": self.steps,
            "learning_rate": RATE,
            "lr_scheduler_type": "linear",
            "warmup_steps": 0,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": self.device == "cpu",
            "bf16": self.precision == "bf16",
            "disable_tqdm": True,
        }


@dataclass(frozen=True, kw_only=True)
class Timed:
    """``seconds`` (wall, CPU) a step, the losses, and what was computed once before."""

    seconds: np.ndarray
    losses: Sequence[float]
    before: np.ndarray


class StepTimes(TrainerCallback):
    """Time of each optimiser step, from its first pass to its update, and its loss."""

    def __init__(self) -> None:
        self.seconds: list[np.ndarray] = []
        self.losses: list[float] = []
        self._start = now()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._start = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(now() - self._start)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def of_trl(name: str) -> tuple[Any, Any]:
    """A trainer of trl's and its configuration."""
    home = trl if hasattr(trl, f"{name}Trainer") else import_module(f"trl.experimental.{name.lower()}")
    return getattr(home, f"{name}Trainer"), getattr(home, f"{name}Config")


def run_trl(setting: Setting, method: Method, rows: Sequence[Row], work: Path, best: bool) -> Timed:
    """trl's trainer, as it comes or at its best settings, but in the precision asked for."""
    trainer, configuration = of_trl(method.trainer)
    times = StepTimes()
    data = Dataset.from_list([method.theirs(place, row) for place, row in enumerate(rows)])
    start = now()
    made = trainer(
        model=load(setting.folder, reward=method.reward),
        args=configuration(
            **setting.arguments(work),
            **method.settings,
            **(method.best if best else {}),
            per_device_train_batch_size=PER_STEP,
            train_sampling_strategy="sequential",
        ),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(setting.folder),
        callbacks=[times],
    )
    before = now() - start
    made.remove_callback(PrinterCallback)
    made.train()
    return Timed(seconds=typical(times.seconds, setting.prompts), losses=times.losses, before=before)


def examples_of(method: Method, rows: Sequence[Row]) -> list[Example]:
    """Our examples, without a reference."""
    return [method.example(place, rows) for place in range(len(rows))]


def run_ours(setting: Setting, method: Method, rows: Sequence[Row]) -> Timed:
    """Our loop."""
    model = load(setting.folder, reward=method.reward, device=setting.device)
    config = TrainingConfig(
        learning_rate=RATE, warmup=0.0, batch_size=PER_STEP, steps=setting.steps, precision=setting.precision
    )  # type: ignore[arg-type]
    examples = examples_of(method, rows)
    start = now()
    if method.objective.reference:
        examples = add_reference(model, examples, weights="benchmark", config=config).examples
    before = now() - start
    batches = SeededBatches(
        kind=method.objective.batch, examples=examples, batch_size=PER_STEP, limit=setting.steps,
        order=range(len(rows)),
    )  # fmt: skip
    marks = [now()]
    run = train(
        model, batches, method.objective, config, cpu=setting.device == "cpu",
        progress=lambda *_: marks.append(now()),
    )  # fmt: skip
    losses = [line["loss"] for line in run.history]
    return Timed(seconds=typical(np.diff(marks, axis=0), setting.prompts), losses=losses, before=before)


def run_bare(setting: Setting, method: Method, examples: Sequence[Example]) -> np.ndarray:
    """Seconds of forward and backward over the tokens of a step, an unpadded row an example with the loss on every
    token, and no optimiser; what a method reads without learning from it is read forward only."""
    model = load(setting.folder, reward=method.reward, device=setting.device)

    def row(example: Example) -> torch.Tensor:
        ids = [*example.tree.trunk, *(token for branch in example.tree.branches for token in branch)]
        return torch.tensor([ids], device=setting.device)

    seconds = []
    for step in steps_of(examples):
        learnt = [row(example) for example in step]
        read = [row(example.mismatched) for example in step if example.mismatched is not None]
        start = now()
        with setting.autocast():
            with torch.no_grad():
                for ids in read:
                    model(input_ids=ids, use_cache=False)
            losses = []
            for ids in learnt:
                if method.reward:
                    loss = model(input_ids=ids, use_cache=False).logits.sum()
                else:
                    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
                loss.backward()
                losses.append(loss.detach())
        seconds.append(now() - start)
        model.zero_grad(set_to_none=True)
    return typical(seconds, setting.prompts)


def steps_of(examples: Sequence[Example]) -> list[Sequence[Example]]:
    """The examples of each optimiser step."""
    return [examples[start : start + PER_STEP] for start in range(0, len(examples), PER_STEP)]


def tokens_of(examples: Sequence[Example], prompts: str) -> float:
    """Tokens that we read in a step: each prompt once with its answers, and mismatched answers."""
    read = [
        sum(e.tokens + (e.mismatched.tokens if e.mismatched else 0) for e in step)
        for step in steps_of(examples)
    ]
    return float(typical(np.array(read)[:, None], prompts)[0])


def gap(ours: Timed, theirs: Mapping[str, Timed]) -> float:
    """The largest difference of a loss."""
    return max(abs(a - b) for peer in theirs.values() for a, b in zip(ours.losses, peer.losses, strict=True))
