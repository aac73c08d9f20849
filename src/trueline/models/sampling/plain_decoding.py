"""Sampling through a model's own cache: one prompt at a time, read once, with all its samples in one batch.

It serves what shared prompts cannot: recurrent layers, sliding windows that a sequence outgrows, attention of
unknown form. All rows have equal length, so no padding or mask is involved and any decoder is exact. A model
that returns no cache is given the whole sequence at every step: slow, and right.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from trueline.models.forward.paths import device_of

from .drawing import Drawer
from .jobs import Counts, Draw, Ending, Job, Running, Slot

_CACHE_NAMES = ("past_key_values", "cache_params")


def draw_plain(model: Any, job: Job, ending: Ending, slots: int, counts: Counts) -> tuple[Draw, ...]:
    """The draws of one job, at most ``slots`` samples at a time."""
    running = Running.of(job)
    everything = [Slot(running, sample) for sample in range(job.sampling.samples)]
    for start in range(0, len(everything), slots):
        _draw_together(model, everything[start : start + slots], ending, counts)
    return running.finished or ()


def _draw_together(model: Any, slots: Sequence[Slot], ending: Ending, counts: Counts) -> None:
    job, drawer = slots[0].running.job, Drawer()
    reader = CachedReader(model)
    logits = reader.read([job.prompt]).expand(len(slots), -1)
    counts.prompt_tokens += len(job.prompt)
    rows: list[Slot | None] = list(slots)
    while True:
        drawer.draw(logits, rows)
        counts.generated_tokens += len(rows)
        going = [at for at, slot in enumerate(rows) if slot is not None and not _ended(slot, ending)]
        if not going or job.abandoned():
            return
        if len(going) < len(rows) or reader.rows != len(rows):
            reader.select(going if reader.rows == len(rows) else [0] * len(going))
            rows = [rows[at] for at in going]
        logits = reader.step([slot.tokens for slot in rows if slot is not None])
        counts.row_steps += len(rows)


def _ended(slot: Slot, ending: Ending) -> bool:
    finish = ending.of(slot)
    if finish is not None:
        slot.end(finish)
    return finish is not None


class CachedReader:
    """A model, its cache by whichever name, and rows of equal length."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._device = device_of(model)
        last = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._last: dict[str, Any] = {"logits_to_keep": 1} if last else {}
        self._prompts: list[list[int]] = []
        self._cache: dict[str, Cache] = {}

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._prompts)

    def read(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Logits [S, V] after prompts of equal length."""
        self._prompts = [list(prompt) for prompt in prompts]
        output = self._model(
            input_ids=torch.tensor(self._prompts, device=self._device), use_cache=True, **self._last
        )
        for name in _CACHE_NAMES:
            if isinstance(cache := getattr(output, name, None), Cache):
                self._cache = {name: cache}
        return self._logits(output)

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows; a row may be taken several times."""
        for cache in self._cache.values():
            cache.reorder_cache(torch.tensor(rows, device=self._device))
        self._prompts = [self._prompts[row] for row in rows]

    def step(self, generated: Sequence[Sequence[int]]) -> Tensor:
        """Logits [S, V] after the last generated tokens."""
        fed = [
            tokens[-1:] if self._cache else [*prompt, *tokens]
            for prompt, tokens in zip(self._prompts, generated)
        ]
        output = self._model(
            input_ids=torch.tensor(fed, device=self._device),
            use_cache=bool(self._cache),
            **self._cache,
            **self._last,
        )
        return self._logits(output)

    def _logits(self, output: Any) -> Tensor:
        logits: Tensor = output.logits
        return logits[:, -1]
