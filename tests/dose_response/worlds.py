"""The models on which measures are validated, each trained once however many test workers ask for it."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from trueline.core.fingerprint import fingerprint
from trueline.models.local import LocalTarget
from trueline.studies.subjects import Subject
from trueline.testbed.build import LEVELS, VALIDATION_PLAN, VALIDATION_SIZE, trained_folder, worlds_for_validation
from trueline.testbed.embedded import cache_folder
from trueline.testbed.pretrain import Pretraining
from trueline.testbed.world import WorldSpec, build_world

READING = "corpus_copies"
# How much of its world a model has read: the dose of capability. 1 is what every validation model reads.
COPIES = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is trained: a world and how much of its corpus is read."""

    world: WorldSpec
    plan: Pretraining = VALIDATION_PLAN


def by_dose(dose: str, seed: int) -> list[tuple[float, Model]]:
    """The level and the trained model of each world in which a dose differs, lowest level first."""
    worlds = worlds_for_validation(seed)
    if dose == READING:
        models = [Model(world=worlds[0], plan=replace(VALIDATION_PLAN, copies=copies)) for copies in COPIES]
        levels = list(COPIES)
    else:
        levels = [float(getattr(world.doses, dose)) for world in worlds]
        models = [Model(world=world) for world in worlds]
    assert dose == READING or sorted(levels) == sorted(LEVELS[dose])
    ready(models)
    return sorted(zip(levels, models), key=lambda pair: pair[0])


def ready(models: Sequence[Model]) -> None:
    """Train what no one has trained; while another worker trains one model, train another."""
    waiting = list(models)
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


@cache
def subject(model: Model) -> Subject:
    """The trained model with its world."""
    target = LocalTarget.from_pretrained(_folder(model), dtype="float32")
    return Subject(target=target, world=build_world(model.world))


def _folder(model: Model) -> str:
    return str(trained_folder(model.world, VALIDATION_SIZE, model.plan))


@contextmanager
def _turn(model: Model, *, wait: bool) -> Iterator[bool]:
    """Hold the model's lock; yields False at once where another process holds it and ``wait`` is off."""
    locks = cache_folder() / "testbed" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / fingerprint({"model": model})[:16]).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True  # closing the file gives the lock back
