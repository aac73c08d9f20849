"""Examining the items of one cell: what has no whole verdict in the store is asked, and its verdict stored."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.errors import NotMeasurableError, TruelineError, UnfinishedError
from trueline.core.fingerprint import canonical
from trueline.core.measure import Measure
from trueline.core.protocols import Attack, Budget, Target
from trueline.core.verdicts import Item, Verdict

from .plan import Cell
from .recording import RecordingTarget, start_trail
from .selection import CONTROL
from .store import Store, StoreFullError, verdict_key

# Enough waiting requests to fill batches; an endpoint limits itself.
ITEMS_IN_FLIGHT = 512


class CellRunner:
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
        self.recorder = recorder
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
        """Items still to do, and the verdicts already stored; one whose answers are gone or altered is to do."""
        stored = self.store.verdicts(self.cell.key)
        todo, verdicts = [], []
        for item in items:
            found = stored.get(verdict_key(self.cell.key, self._identity(item)))
            if found is None or not self.recorder.whole.issuperset(found.responses):
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
                    target: Target = self.recorder if item.group == CONTROL else self.target
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
