"""What trained treatments share: a copy of the target's model is trained, saved as a folder, and comes back as a target.

The folder under ``resources.workdir`` is named by a digest of the base, the method, the data and the seed. A
complete one (its manifest is written last) is used again; a half-done one is continued from its last checkpoint.
"""

import copy
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target
from trueline.training.config import LoraConfig, Precision, Schedule, TrainingConfig

if TYPE_CHECKING:
    from trueline.models.local import LocalTarget
    from trueline.training.data import Codec, Prepared
    from trueline.training.objectives.base import Objective

CHECKPOINTS, MODEL, REFERENCES = "checkpoints", "model", "references"


@dataclass(frozen=True, kw_only=True)
class TrainedTreatment:
    """The dials of a trained treatment; each method is a subclass with an objective and its kind of data.

    ``steps`` overrides ``epochs``. ``lora`` trains low-rank adapters of rank ``lora_rank`` (8 where left out)
    instead of all weights. The seed of the data's order is ``resources.seed``.
    """

    learning_rate: float
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 16
    warmup: float = 0.1
    schedule: Schedule = "linear"
    weight_decay: float = 0.0
    max_length: int = 1024
    precision: Precision = "fp32"
    lora: bool = False
    lora_rank: int | None = None

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GRADIENTS})
    resources: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if self.lora_rank is not None and not self.lora:
            raise InputError(f"lora_rank {self.lora_rank} was given without lora: set lora, or leave the rank out.")
        self.config(0)

    def config(self, seed: int) -> TrainingConfig:
        """The training configuration."""
        return TrainingConfig(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            batch_size=self.batch_size,
            epochs=self.epochs,
            steps=self.steps,
            max_length=self.max_length,
            weight_decay=self.weight_decay,
            seed=seed,
            precision=self.precision,
            lora=LoraConfig(rank=8 if self.lora_rank is None else self.lora_rank) if self.lora else None,
        )

    def fingerprint(self) -> str:
        """A digest of method and dials."""
        return fingerprint({"treatment": self.name, "version": self.version, "dials": self})

    def objective(self) -> "Objective":
        """The loss."""
        raise NotImplementedError

    def prepare(self, codec: "Codec", data: Sequence[Any]) -> "Prepared":
        """The data as training examples."""
        raise NotImplementedError

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target with trained weights. Raises InputError without a local model or without data."""
        base = local(target, self.name)
        (wanted,) = self.resources
        data = getattr(resources, wanted)
        if not data:
            raise InputError(f"{self.name} learns from {wanted}, but none were given: give resources.{wanted}.")
        prepared = self.prepare(base.codec, tuple(data))
        folder = train_copy(
            base,
            prepared,
            objective=self.objective(),
            config=self.config(resources.seed),
            treatment={"name": self.name, "fingerprint": self.fingerprint()},
            resources=resources,
        )
        return reload(base, folder)


def local(target: Target, method: str) -> "LocalTarget":
    """The target as a local model; InputError where it is none."""
    from trueline.models.local import LocalTarget

    if not isinstance(target, LocalTarget):
        raise InputError(
            f"{method} trains weights, but {target.name!r} is no local model; give a transformers folder or hub name."
        )
    return target


def train_copy(
    base: "LocalTarget",
    prepared: "Prepared",
    *,
    objective: "Objective",
    config: TrainingConfig,
    treatment: Mapping[str, Any],
    resources: Resources,
    build: Callable[[Any], Any] = copy.deepcopy,
) -> Path:
    """Train what ``build`` makes of the base's model, and return its folder; one that is complete is used again."""
    from trueline.training.adapters import with_adapters
    from trueline.training.batches import SeededBatches, examples_digest
    from trueline.training.folders import make_folder, read_manifest, save_model, write_manifest
    from trueline.training.loop import train
    from trueline.training.reference import add_reference

    if not prepared.examples:
        raise InputError(
            f"{objective.name} has nothing to learn from: all {prepared.too_long} prompts fill max_length "
            f"{config.max_length}; raise it."
        )
    digest = examples_digest(prepared.examples)
    key = fingerprint([base.fingerprint(), treatment, digest, config])
    folder = resources.workdir / f"{objective.name}-{key[:16]}"
    if read_manifest(folder) is not None:
        return folder
    make_folder(folder)
    started = time.perf_counter()
    model = build(base.model).float()
    examples, reference_flops = list(prepared.examples), 0.0
    if objective.reference:
        examples, reference_flops = add_reference(
            model,
            examples,
            weights=base.fingerprint(),
            config=config,
            cache=resources.workdir / REFERENCES,
            progress=resources.progress,
        )
    reference_seconds = time.perf_counter() - started
    model = with_adapters(model, config.lora, config.seed)
    batches = SeededBatches(
        kind=objective.batch,
        examples=examples,
        batch_size=config.batch_size,
        epochs=config.epochs,
        limit=config.steps,
        seed=config.seed,
    )
    run = train(
        model,
        batches,
        objective,
        config,
        base=base.fingerprint(),
        checkpoint_folder=folder / CHECKPOINTS,
        progress=resources.progress,
    )
    save_model(folder / MODEL, model, base.tokenizer)
    costs = {
        "tokens": run.costs["tokens"],
        "flops": run.costs["flops"] + reference_flops,
        "seconds": run.costs["seconds"] + reference_seconds,
    }
    write_manifest(
        folder,
        {
            "treatment": treatment,
            "objective": objective.name,
            "base": base.fingerprint(),
            "data": {"digest": digest, "examples": len(examples), "left out": prepared.too_long,
                     "truncated answers": prepared.truncated},
            "config": config,
            "weights": "saved in fp32, as trained",
            "training": {**costs, "steps": len(run.history)},
            "history": run.history,
        },
    )
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return folder
