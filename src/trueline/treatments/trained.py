"""What trained treatments share: a copy of the target's model is trained, saved, and comes back as a target.

The folder under ``resources.workdir`` is named by a digest of the base, the method, the data and the seed. A
complete one (its manifest is written last) is used again; a half-done one goes on from its last checkpoint.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target
from trueline.training.budget import NOTHING, Spent

from .training_dials import TrainingDials

if TYPE_CHECKING:
    from trueline.models.local import LocalTarget
    from trueline.training.batches import Batches
    from trueline.training.codec import Codec
    from trueline.training.config import TrainingConfig
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective

CHECKPOINTS, MODEL, REFERENCES = "checkpoints", "model", "references"


@dataclass(frozen=True, kw_only=True)
class TrainedTreatment(TrainingDials):
    """A treatment that trains; each method is a subclass with an objective and its kind of data."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GRADIENTS})
    resources: ClassVar[tuple[str, ...]]
    shards: ClassVar[bool] = True  # whether its training can be cut over processes

    def settings(self) -> dict[str, Any]:
        """Name, version and dials, for provenance."""
        return {"name": self.name, "version": self.version, **asdict(self)}

    def fingerprint(self) -> str:
        """A digest of method and dials."""
        return fingerprint(self.settings())

    def objective(self) -> "Objective":
        """The loss."""
        raise NotImplementedError

    def prepare(self, codec: "Codec", data: Sequence[Any], max_length: int) -> "Prepared":
        """The data as training examples."""
        raise NotImplementedError

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target with trained weights. Raises InputError without a local model or without data."""
        return self.learn(target, resources)

    def learn(self, target: Target, resources: Resources, spent: Spent = NOTHING) -> Target:
        """As ``apply``, after work on the data that took ``spent``."""
        from .copies import codec_of, fresh_model, local, trained_target

        base = local(target, self.name)
        wanted, *_ = self.resources  # the first is what is learnt
        data = getattr(resources, wanted)
        if not data:
            raise InputError(
                f"{self.name} learns from {wanted}, but none were given: give resources.{wanted}."
            )
        config = within_window(self.config(resources.seed), base)
        folder, manifest = train_copy(
            base,
            self.prepare(codec_of(base), tuple(data), config.max_length),
            objective=self.objective(),
            config=config,
            treatment=self.settings(),
            resources=resources,
            build=lambda: fresh_model(base),
            sharded=resources.sharded,
            spent=spent,
        )
        provenance = {
            "treatment": self.settings(),
            "training": manifest["training"],
            "data": manifest["data"],
        }
        return trained_target(base, folder, method=self.name, provenance=provenance)


def refuse_sharded(method: str, resources: Resources) -> None:
    """InputError where a training was to be sharded that cannot be."""
    if resources.sharded:
        raise InputError(
            f"{method} cannot be sharded: it needs the whole model on every process while it trains; leave sharded "
            "out."
        )


def training_of(trained: Target) -> Spent:
    """What training a target took, as its provenance tells."""
    return Spent.of(trained.describe().get("training") or {})


def within_window(config: "TrainingConfig", base: "LocalTarget") -> "TrainingConfig":
    """The configuration with a length that the model can read."""
    window = base.context_window
    return config if window is None else replace(config, max_length=min(config.max_length, window))


def train_copy(
    base: "LocalTarget",
    prepared: "Prepared",
    *,
    objective: "Objective",
    config: "TrainingConfig",
    treatment: Mapping[str, Any],
    resources: Resources,
    build: Callable[[], Any],
    sharded: bool = False,
    spent: Spent = NOTHING,
) -> tuple[Path, dict[str, Any]]:
    """Train the model that ``build`` gives on examples, which took ``spent`` to make; return its folder and manifest,
    of a complete one as they are."""
    from trueline.training.batches import SeededBatches, examples_digest
    from trueline.training.flops import forward_flops, model_size
    from trueline.training.reference import add_reference, with_frozen

    if not prepared.examples:
        raise InputError(
            f"{objective.name} has nothing to learn from: all {prepared.too_long} prompts fill max_length "
            f"{config.max_length}; raise it."
        )

    def feed(model: Any) -> Feed:
        examples, before = list(prepared.examples), spent
        if objective.reference:
            reference = add_reference(
                model,
                examples,
                weights=base.fingerprint(),
                config=config,
                cache=resources.workdir / REFERENCES,
                progress=resources.progress,
            )
            examples = reference.examples
            before += Spent(flops=reference.flops, seconds=reference.seconds)
        if (frozen := getattr(objective, "frozen", None)) is not None:
            name, reading = frozen
            started = time.perf_counter()
            examples = with_frozen(model, examples, name, reading, config)
            flops = forward_flops(model_size(model), [example.tree for example in examples])
            before += Spent(flops=flops, seconds=time.perf_counter() - started)
        batches = SeededBatches(
            kind=objective.batch,
            examples=examples,
            batch_size=config.batch_size,
            epochs=config.epochs,
            limit=config.steps,
            seed=config.seed,
        )
        return Feed(batches=batches, spent=before)

    data = {
        "digest": examples_digest(prepared.examples),
        "examples": len(prepared.examples),
        "left out": prepared.too_long,
        "truncated answers": prepared.truncated,
    }
    return train_folder(
        base,
        feed,
        data=data,
        objective=objective,
        config=config,
        treatment=treatment,
        resources=resources,
        build=build,
        sharded=sharded,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """What a model is trained on, and what it took to make."""

    batches: "Batches"
    spent: Spent = NOTHING


def on_cpu(base: "LocalTarget") -> bool:
    """Whether the target runs on the CPU, and so is trained there."""
    return str(base.source.describe()["device"]) == "cpu"


def train_folder(
    base: "LocalTarget",
    feed: Callable[[Any], Feed],
    *,
    data: Mapping[str, Any],
    objective: "Objective",
    config: "TrainingConfig",
    treatment: Mapping[str, Any],
    resources: Resources,
    build: Callable[[], Any],
    name: str | None = None,
    sharded: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Train the model that ``build`` gives on what ``feed`` makes of it; return its folder and manifest, of a
    complete one as they are. ``data`` tells about the data; its ``digest`` identifies them."""
    from accelerate import Accelerator

    from trueline.training.adapters import with_adapters
    from trueline.training.critic import critic
    from trueline.training.folders import make_folder, read_manifest, save_model, write_manifest
    from trueline.training.loop import train
    from trueline.training.readings import TOKEN_VALUES

    if not sharded:
        refuse_sharded(name or objective.name, resources)
    identity = {"base": base.fingerprint(), "treatment": treatment, "data": data["digest"], "config": config}
    folder = resources.workdir / f"{name or objective.name}-{fingerprint(identity)[:16]}"
    complete = read_manifest(folder)
    if complete is not None:
        return folder / MODEL, complete
    make_folder(folder)
    cpu = on_cpu(base)
    accelerator = Accelerator(cpu=cpu)
    model = build().to(accelerator.device)
    made = feed(model)
    model = with_adapters(model, config.lora, config.seed)
    with critic(model, wanted=TOKEN_VALUES in objective.reads):
        run = train(
            model,
            made.batches,
            objective,
            config,
            base=base.fingerprint(),
            spent=asdict(made.spent),
            checkpoint_folder=folder / CHECKPOINTS,
            progress=resources.progress,
            cpu=cpu,
            sharded=sharded,
        )
    manifest = {
        "treatment": dict(treatment),
        "base": base.fingerprint(),
        "data": dict(data),
        "config": asdict(config),
        "weights": "saved in fp32, as trained",
        "training": {
            "steps": len(run.history),
            **asdict(Spent.of(run.costs) + made.spent),
            "flops_before": made.spent.flops,
            **({"stopped": run.stopped} if run.stopped else {}),
        },
        "history": list(run.history),
    }
    if accelerator.is_main_process:
        save_model(folder / MODEL, model, base.tokenizer)
        write_manifest(folder, manifest)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    accelerator.wait_for_everyone()
    return folder / MODEL, manifest
