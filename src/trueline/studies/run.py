"""Running a study: each arm is treated, each cell examined, every answer and verdict stored as it comes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from trueline.core.errors import NotMeasurableError, TruelineError, UnfinishedError
from trueline.core.fingerprint import canonical
from trueline.core.measure import Measure
from trueline.core.protocols import Attack, Budget, Target
from trueline.core.verdicts import Item, Verdict
from trueline.judges.card_folder import card_of

from .arms import Arm
from .judging import judges_of
from .lacking import lacking
from .plan import Cell, Plan
from .progress import Progress, Silent
from .recording import RecordingTarget, start_trail
from .selection import CONTROL
from .store import Store, StoreFullError, verdict_key
from .treat import apply_treatment

# Enough waiting requests to fill batches; an endpoint limits itself.
ITEMS_IN_FLIGHT = 512


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a run did: verdicts made now, verdicts already there, and cells with items left over."""

    made: int
    stored: int
    unfinished: tuple[str, ...] = ()


def run_study(
    plan: Plan, out: Path, *, progress: Progress | None = None, max_cost: float | None = None
) -> RunReport:
    """Run what is planned and not stored yet. Killing it at any moment loses at most what is in flight.

    Raises:
        InputError: the plan costs more than ``max_cost``, or an input cannot be used.
        UnfinishedError: a full disk or an endpoint that stays away; what was stored is whole.
    """
    progress = progress or Silent()
    plan.check_cost(max_cost)
    store = Store(plan.spec.store or out)
    try:
        store.put_meta({"plan": plan.as_json(), "versions": versions()})
        made = stored = 0
        unfinished: list[str] = []
        for number, arm in enumerate(plan.arms, 1):
            cells = [cell for cell in plan.measurable if cell.arm == arm]
            target = apply_treatment(arm, plan.subjects[arm.target], plan.spec, out, progress)
            if isinstance(target, str):
                for cell in cells:
                    store.put_meta({f"cell:{cell.key}": {"reason": target}})
                continue
            store.put_meta({f"arm:{arm.label}": {"fingerprint": target.fingerprint(), **target.describe()}})
            recorder = RecordingTarget(target, store, seed=arm.seed)
            label = f"[{number}/{len(plan.arms)}] {arm.label}"
            new, old, left = asyncio.run(_run_arm(plan, arm, cells, recorder, store, progress, label))
            made, stored = made + new, stored + old
            unfinished += left
            if arm.target.is_endpoint:  # what it was called and cost is known only now
                store.put_meta(
                    {f"arm:{arm.label}": {"fingerprint": target.fingerprint(), **target.describe()}}
                )
        return RunReport(made=made, stored=stored, unfinished=tuple(unfinished))
    finally:
        store.close()


async def _run_arm(
    plan: Plan,
    arm: Arm,
    cells: Iterable[Cell],
    recorder: RecordingTarget,
    store: Store,
    progress: Progress,
    label: str,
) -> tuple[int, int, list[str]]:
    cells = list(cells)
    made = stored = 0
    unfinished: list[str] = []
    total = sum(len(plan.items(cell)) for cell in cells)
    with progress.bar(label, total) as bar:
        for cell in cells:
            measure = plan.measure(cell)
            attack = plan.subjects[arm.target].attack(cell.attack)
            reason = lacking(measure.needs | attack.needs, recorder.capabilities)
            if reason is not None:
                store.put_meta({f"cell:{cell.key}": {"reason": reason}})
                continue
            started = monotonic()
            runner = _CellRunner(cell, measure, attack, recorder, store, plan.digests(cell))
            todo, verdicts = runner.split(plan.items(cell))
            stored += len(verdicts)
            done = made + stored
            bar.update(done, total, measure.title)

            def advance(new: int, done: int = done, words: str = measure.title) -> None:
                bar.update(done + new, total, words)

            fresh = await runner.examine_all(todo, advance)
            store.flush()
            made += len(fresh)
            if len(fresh) < len(todo):
                left = f"{cell.arm.label} · {measure.name} ({len(todo) - len(fresh)} items)"
                unfinished.append(f"{left}: {runner.stopped}" if runner.stopped else left)
            everything = [*verdicts, *fresh]
            state = {
                "uninformative": measure.check(everything),
                "warnings": list(measure.warnings(everything)),
                "measure": measure.fingerprint(),
                "judges": _judges(measure, store),
            }
            store.put_meta({f"cell:{cell.key}": state})
            if fresh:
                store.put_meta({f"seconds:{cell.key}": monotonic() - started})
    return made, stored, unfinished


def _judges(measure: Measure, store: Store) -> dict[str, dict[str, Any]]:
    """The judges of a measure for its cell's state; their cards go into the store as they are now."""
    judges = judges_of(measure)
    for judge in judges.values():
        if (card := card_of(judge)) is not None:
            store.put_meta({f"card:{card.fingerprint}": card.as_json()})
    return {
        name: {
            "name": judge.name,
            "fingerprint": judge.fingerprint(),
            "exact": bool(getattr(judge, "exact", False)),
        }
        for name, judge in judges.items()
    }


class _CellRunner:
    """Examines the items of one cell that have no stored verdict."""

    def __init__(
        self,
        cell: Cell,
        measure: Measure,
        attack: Attack,
        recorder: RecordingTarget,
        store: Store,
        digests: Mapping[str, str],
    ) -> None:
        self.cell, self.measure, self.store = cell, measure, store
        self.stopped = ""  # why the first item that got no row got none
        queries = int(cell.attack.parameters.get("queries", 1))
        self.plain: Target = recorder
        self.target: Target = _attacked(recorder, attack, Budget(queries=queries), measure)
        self.digests = digests
        self.identity = {
            "measure": measure.fingerprint(),
            "target": recorder.fingerprint(),
            "attack": [attack.fingerprint(), queries],
            "seed": recorder.seed,
        }

    def _identity(self, item: Item) -> str:
        return canonical({**self.identity, "item": self.digests[item.id]})

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Verdict]]:
        """Items still to do, and the verdicts already stored."""
        stored = self.store.verdicts(self.cell.key)
        todo, verdicts = [], []
        for item in items:
            found = stored.get(verdict_key(self.cell.key, self._identity(item)))
            if found is None:
                todo.append(item)
            else:
                verdicts.append(found.verdict)
        return todo, verdicts

    async def examine_all(self, items: Sequence[Item], advance: Any) -> list[Verdict]:
        """Examine concurrently; an item whose endpoint stays away gets no row, so that a later run asks again."""
        gate = asyncio.Semaphore(ITEMS_IN_FLIGHT)
        verdicts: list[Verdict] = []

        async def one(item: Item) -> None:
            async with gate:
                trail = start_trail()
                try:
                    # Controls ask whether the target answers at all; an attack on them would only blur that.
                    target = self.plain if item.group == CONTROL else self.target
                    verdict = await self.measure.examine(item, target)
                except NotMeasurableError as error:
                    verdict = Verdict.missing(item, str(error))
                except StoreFullError:
                    raise
                except UnfinishedError as error:
                    self.stopped = self.stopped or str(error)
                    return
                self.store.add_verdict(self.cell.key, self._identity(item), verdict, trail)
                verdicts.append(verdict)
                advance(len(verdicts))

        try:
            async with asyncio.TaskGroup() as group:
                for item in items:
                    group.create_task(one(item))
        except* TruelineError as errors:
            # One sentence for the user: the first cause; the others of the group are its echoes.
            raise errors.exceptions[0] from None
        return verdicts


def _attacked(recorder: RecordingTarget, attack: Attack, budget: Budget, measure: Measure) -> Target:
    if attack.name == "direct" or not measure.attackable:
        return recorder
    from trueline.attacks.attacked import AttackedTarget

    return AttackedTarget(target=recorder, attack=attack, budget=budget)


def versions() -> dict[str, str]:
    """Versions of Trueline and of what it computes with."""
    from importlib.metadata import version
    from platform import machine, python_version

    names = ("trueline", "torch", "transformers", "numpy", "scipy")
    return {**{name: version(name) for name in names}, "python": python_version(), "machine": machine()}
