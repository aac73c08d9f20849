"""Running a study: each arm is treated, each cell examined, every answer and verdict stored as it comes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from trueline.core.errors import InputError
from trueline.core.measure import Measure
from trueline.core.verdicts import Verdict
from trueline.judges.card_folder import card_of

from .arms import Arm
from .examining import CellRunner
from .judging import judges_of
from .lacking import lacking
from .plan import Cell, Plan
from .progress import Progress, Silent
from .recording import RecordingTarget
from .selection import CONTROL
from .stopping import Change, Looks, decided, looks_of, sequential_state
from .store import Store
from .store_tables import without_password
from .treat import apply_treatment

SUPERSEDED = "another process stored its answers first, and the verdicts will rest on those"


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
        _refuse_another_study(store, plan)
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


def _refuse_another_study(store: Store, plan: Plan) -> None:
    """A store at a URL is known by nothing but its URL: a second study must not take the first one's place."""
    named = store.meta("plan").get("", {}).get("spec", {}).get("name")
    if plan.spec.store is not None and named not in (None, plan.spec.name):
        raise InputError(
            f"the store {without_password(plan.spec.store)} holds the study {named!r}; give {plan.spec.name!r} "
            "a store of its own (another folder, database or schema)."
        )


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
            runner = CellRunner(cell, measure, attack, recorder, store, plan.digests(cell))
            judges = _judges(measure, store)
            done = made + stored

            def advance(new: int, done: int = done, words: str = measure.title) -> None:
                bar.update(done + new, total, words)

            result = await _run_cell(plan, cell, runner, looks_of(plan, cell, store, judges), advance)
            stored, made = stored + len(result.found), made + result.kept
            if result.left:
                left = f"{cell.arm.label} · {measure.name} ({result.left} items)"
                why = runner.stopped or (SUPERSEDED if result.kept < len(result.fresh) else "")
                unfinished.append(f"{left}: {why}" if why else left)
            everything = [*result.found, *result.fresh]
            state = {
                "uninformative": measure.check(everything),
                "warnings": list(measure.warnings(everything)),
                "measure": measure.fingerprint(),
                "judges": judges,
            }
            if result.changes:
                asked = sum(v.group != CONTROL for v in everything)
                state["sequential"] = sequential_state(result.changes, cell.item_count, asked)
            store.put_meta({f"cell:{cell.key}": state})
            if result.fresh:
                store.put_meta({f"seconds:{cell.key}": monotonic() - started})
    return made, stored, unfinished


@dataclass(frozen=True, kw_only=True)
class _CellResult:
    """Verdicts that were there and that were made, how many of these were kept, and how many items are left."""

    found: list[Verdict]
    fresh: list[Verdict]
    kept: int
    left: int
    changes: Mapping[str, Change]


async def _run_cell(
    plan: Plan, cell: Cell, runner: CellRunner, looks: Looks | None, advance: Callable[[int], None]
) -> _CellResult:
    """Examine what has no verdict; where the cell is followed, only until its primaries are decided."""
    todo, found = runner.split(plan.items(cell))
    advance(len(found))
    if looks is not None and not looks.ready:
        runner.stopped = "it is asked once its baseline is finished"
        return _CellResult(found=found, fresh=[], kept=0, left=len(todo), changes={})
    waiting = {item.id for item in todo}
    known = {verdict.item: verdict for verdict in found}
    fresh: list[Verdict] = []
    wanted, superseded = 0, runner.store.superseded
    changes: Mapping[str, Change] = {}
    for number, batch in enumerate([todo] if looks is None else looks.batches(), 1):
        asked = [item for item in batch if item.id in waiting]
        wanted += len(asked)
        before = len(found) + len(fresh)
        fresh += await runner.examine_all(asked, lambda new, before=before: advance(before + new))
        if looks is not None:
            known |= {verdict.item: verdict for verdict in fresh}
            changes = looks.look(known, number)
        if len(fresh) < wanted or (changes and decided(changes)):
            break
    runner.store.flush()
    kept = len(fresh) - (runner.store.superseded - superseded)
    return _CellResult(found=found, fresh=fresh, kept=kept, left=wanted - kept, changes=changes)


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


def versions() -> dict[str, str]:
    """Versions of Trueline and of what it computes with."""
    from importlib.metadata import version
    from platform import machine, python_version

    names = ("trueline", "torch", "transformers", "numpy", "scipy")
    return {**{name: version(name) for name in names}, "python": python_version(), "machine": machine()}
