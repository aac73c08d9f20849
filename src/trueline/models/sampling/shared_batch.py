"""The running batch over shared prompts: admit, step, finish, refill, shrink."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from trueline.models.forward.paths import device_of

from .drawing import Drawer
from .fused_step import can_step, fused_step
from .jobs import Counts, Draw, Ending, Job, Limits, Running, Slot
from .prefix_attention import sharing
from .prefix_cache import PrefixCache

Take = Callable[[int], Sequence[Job]]
Deliver = Callable[[Job, tuple[Draw, ...]], None]

_REFILL_SHARE = 0.25  # of the slots must be free before prompts are read in the middle of a run
_SHRINK_SHARE = 0.25  # of the rows must be finished before the others are moved together
_ABANDON_STEPS = 8  # steps between looks at whether anybody still waits


class SharedBatch:
    """Samples jobs on one model until none are left.

    ``take(n)`` gives about ``n`` more jobs, or none when none wait now; ``deliver`` gets each job's draws as
    soon as its last sample has ended.
    """

    def __init__(
        self, model: Any, ending: Ending, limits: Limits, bytes_per_token: int, counts: Counts, take: Take,
        deliver: Deliver, fused: bool = False,
    ) -> None:  # fmt: skip
        self._model = model
        self._device = device_of(model)
        self._ending = ending
        self._limits = limits
        self._cache_tokens = limits.cache_bytes // max(1, bytes_per_token)
        self._counts = counts
        self._take = take
        self._deliver = deliver
        self._backlog: deque[Job] = deque()
        self._partly: deque[Running] = deque()  # prompts read, samples waiting for a slot
        self._rows: list[Slot | None] = []
        self._free_groups: list[int] = []
        self._groups = 0
        self._cache = PrefixCache()
        self._drawer = Drawer()
        self._fused = fused and can_step(model)

    def run(self) -> None:
        """Until nothing runs and nothing waits."""
        steps = 0
        while True:
            if steps % _ABANDON_STEPS == 0:
                self._drop_abandoned()
            self._admit()
            self._shrink()
            if not self._rows:
                return
            self._step()
            steps += 1

    def _live(self) -> int:
        return sum(slot is not None for slot in self._rows)

    def _admit(self) -> None:
        """Fill free slots; again as long as samples end with their first token."""
        while True:
            live = self._live()
            free = self._limits.slots - live
            if free <= 0 or (live and free < self._limits.slots * _REFILL_SHARE):
                return
            starting = self._start_waiting(free)
            if free > len(starting):
                new = self._next_jobs(free - len(starting), busy=bool(live or starting))
                self._read_prompts(new)
                starting += self._start_waiting(free - len(starting))
            if not starting:
                return
            self._first_tokens(starting)

    def _next_jobs(self, samples: int, *, busy: bool) -> list[Running]:
        """Jobs for about so many samples, within the cache's limit."""
        used = sum(_cache_need(slot.running.job) for slot in self._rows if slot is not None)
        chosen: list[Running] = []
        while samples > 0:
            if not self._backlog:
                self._backlog.extend(self._take(samples))
            if not self._backlog:
                break
            job = self._backlog[0]
            used += _cache_need(job) * job.sampling.samples
            if used > self._cache_tokens and (busy or chosen):
                break
            self._backlog.popleft()
            chosen.append(Running.of(job))
            samples -= job.sampling.samples
        return chosen

    def _read_prompts(self, new: Sequence[Running]) -> None:
        """Run the prompts, padded on the right: causal attention never looks there."""
        ordered = sorted(new, key=lambda running: len(running.job.prompt))
        while ordered:
            fits = 1
            while (
                fits < len(ordered)
                and (fits + 1) * len(ordered[fits].job.prompt) <= self._limits.prefill_tokens
            ):
                fits += 1
            part, ordered = ordered[:fits], ordered[fits:]
            lengths = [len(running.job.prompt) for running in part]
            width = lengths[-1]
            tokens = [list(running.job.prompt) + [0] * (width - n) for running, n in zip(part, lengths)]
            ends = sorted({n - 1 for n in lengths})
            computed = DynamicCache()
            logits = self._model(
                input_ids=torch.tensor(tokens, device=self._device),
                position_ids=torch.arange(width, device=self._device).expand(len(part), -1),
                past_key_values=computed,
                use_cache=True,
                logits_to_keep=torch.tensor(ends, device=self._device),
            ).logits
            for row, (running, length) in enumerate(zip(part, lengths)):
                running.first_logits = logits[row, ends.index(length - 1)].float()
                running.group = self._free_groups.pop() if self._free_groups else self._new_group()
            self._cache.place_prompts([running.group for running in part], lengths, computed)
            self._counts.prompt_tokens += sum(lengths)
        self._partly.extend(new)

    def _new_group(self) -> int:
        self._groups += 1
        return self._groups - 1

    def _start_waiting(self, free: int) -> list[Slot]:
        starting: list[Slot] = []
        while self._partly and len(starting) < free:
            running = self._partly[0]
            for _ in range(min(running.waiting, free - len(starting))):
                starting.append(Slot(running, running.started))
                running.started += 1
            if not running.waiting:
                self._partly.popleft()
        return starting

    def _first_tokens(self, starting: Sequence[Slot]) -> None:
        logits = torch.stack([_required(slot.running.first_logits) for slot in starting])
        Drawer().draw(logits, starting)
        going = [slot for slot in starting if not self._ended(slot)]
        for slot in starting:
            if not slot.running.waiting:
                slot.running.first_logits = None
        places = [row for row, slot in enumerate(self._rows) if slot is None][: len(going)]
        places += range(len(self._rows), len(self._rows) + len(going) - len(places))
        self._rows += [None] * (max([len(self._rows), *(p + 1 for p in places)]) - len(self._rows))
        for place, slot in zip(places, going):
            self._rows[place] = slot
        if going:
            longest = max(slot.running.job.limit for slot in going)
            self._cache.open_rows(places, [slot.running.group for slot in going], longest)

    def _step(self) -> None:
        """One more token for every live row."""
        fed = [0 if slot is None else slot.tokens[-1] for slot in self._rows]
        at = [
            0 if slot is None else len(slot.running.job.prompt) + len(slot.tokens) - 1 for slot in self._rows
        ]
        tokens, places = torch.tensor(fed, device=self._device), torch.tensor(at, device=self._device)
        with sharing(self._model, self._cache):
            if self._fused:
                logits = fused_step(self._model, self._cache, tokens, places)
            else:
                logits = self._model(
                    input_ids=tokens[:, None],
                    position_ids=places[:, None],
                    past_key_values=self._cache,
                    use_cache=True,
                ).logits[:, -1]
        self._counts.row_steps += len(self._rows)
        self._drawer.draw(logits, self._rows)
        for row, slot in enumerate(self._rows):
            if slot is not None and self._ended(slot):
                self._close(row)

    def _ended(self, slot: Slot) -> bool:
        self._counts.generated_tokens += 1
        finish = self._ending.of(slot)
        if finish is None:
            return False
        slot.end(finish)
        if (draws := slot.running.finished) is not None:
            self._release(slot.running)
            self._deliver(slot.running.job, draws)
        return True

    def _close(self, row: int) -> None:
        self._rows[row] = None
        self._cache.close_row(row)

    def _release(self, running: Running) -> None:
        self._cache.close_group(running.group)
        self._free_groups.append(running.group)

    def _shrink(self) -> None:
        """Move the live rows together when many have finished and nothing waits for their places."""
        live = [row for row, slot in enumerate(self._rows) if slot is not None]
        if not live:
            self._cache, self._rows, self._free_groups, self._groups = PrefixCache(), [], [], 0
            return
        if self._partly or self._backlog or len(live) > len(self._rows) * (1 - _SHRINK_SHARE):
            return
        self._groups, self._free_groups = self._cache.keep(live), []
        self._rows = [self._rows[row] for row in live]
        for slot, group in zip(self._rows, self._cache.groups):
            if slot is not None:
                slot.running.group = group

    def _drop_abandoned(self) -> None:
        runnings = {id(r): r for r in [*(s.running for s in self._rows if s is not None), *self._partly]}
        gone = {key for key, running in runnings.items() if running.job.abandoned()}
        for row, slot in enumerate(self._rows):
            if slot is not None and id(slot.running) in gone:
                self._close(row)
        for key in gone:
            self._release(runnings[key])
        self._partly = deque(running for running in self._partly if id(running) not in gone)
        self._backlog = deque(job for job in self._backlog if not job.abandoned())


def _cache_need(job: Job) -> int:
    """Tokens that one sample may hold, its share of the prompt included."""
    return job.limit + -(-len(job.prompt) // job.sampling.samples)


def _required(logits: Tensor | None) -> Tensor:
    assert logits is not None, "the prompt was not read"
    return logits
