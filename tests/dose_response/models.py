"""The models on which measures are validated, each trained once however many test workers ask for it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Target
from trueline.models.local import LocalTarget
from trueline.studies.subjects import Subject
from trueline.testbed.build import (
    VALIDATION_PLAN,
    VALIDATION_SIZE,
    trained_folder,
    worlds_for_validation,
)
from trueline.testbed.embedded import cache_folder
from trueline.testbed.pretrain import Pretraining
from trueline.testbed.world import WorldSpec, build_world

from .softened import SoftenedTarget

READING = "corpus_copies"
# How much a model has read of what validation models read of their world: the dose of capability.
COPIES = (0.1, 0.5, 1.0)
SOFTENING = "temperature"
# What a model's log-likelihoods are divided by: the dose of miscalibration. Far apart, for a trained model is somewhat
# overconfident, so that a temperature of 2 may well calibrate it.
TEMPERATURES = (1.0, 4.0, 16.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A world, how much of its corpus is read, and what is done to the likelihoods afterwards."""

    world: WorldSpec
    plan: Pretraining = VALIDATION_PLAN
    temperature: float = 1.0


def by_dose(dose: str, seed: int) -> list[tuple[float, Model]]:
    """The models in which a dose differs, each with its level, lowest level first."""
    if dose == READING:
        return list(zip(COPIES, _readers(seed)))
    worlds = _worlds(seed)
    if dose == SOFTENING:
        knowing = min(worlds, key=lambda model: model.world.doses.once_share)
        return [(temperature, replace(knowing, temperature=temperature)) for temperature in TEMPERATURES]
    levels = [(float(getattr(model.world.doses, dose)), model) for model in worlds]
    return sorted(levels, key=lambda pair: pair[0])


def ready(seed: int) -> None:
    """Train all models of a seed that no one has trained; while another worker trains one, train another."""
    waiting = list(dict.fromkeys([*_worlds(seed), *_readers(seed)]))
    while waiting:
        for model in waiting:
            with _turn(model, wait=False) as mine:
                if mine:
                    _folder(model)
                    waiting.remove(model)
                    break
        else:
            with _turn(waiting[0], wait=True):
                continue


def _worlds(seed: int) -> list[Model]:
    return [Model(world=world) for world in worlds_for_validation(seed)]


def _readers(seed: int) -> list[Model]:
    """Models of one world, from the one that has read least to the validation model itself."""
    whole = _worlds(seed)[0]
    return [replace(whole, plan=replace(whole.plan, copies=copies * whole.plan.copies)) for copies in COPIES]


@cache
def subject(model: Model) -> Subject:
    """The trained model with its world."""
    target: Target = LocalTarget.from_pretrained(_folder(model), dtype="float32")
    if model.temperature != 1:
        target = SoftenedTarget(target, model.temperature)
    return Subject(target=target, world=build_world(model.world))


def _folder(model: Model) -> str:
    return str(trained_folder(model.world, VALIDATION_SIZE, model.plan))


@contextmanager
def _turn(model: Model, *, wait: bool) -> Iterator[bool]:
    """Hold the model's lock; gives False at once where another process holds it and ``wait`` is off."""
    locks = cache_folder() / "testbed" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    name = fingerprint({"world": model.world, "plan": model.plan})[:16]
    with (locks / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True  # closing the file gives the lock back
