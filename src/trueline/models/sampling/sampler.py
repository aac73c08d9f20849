"""Sampling from a transformers decoder: many prompts, many samples a prompt, one running batch.

A prompt is read once, however many samples continue it (``prefix_cache``). The running batch holds up to
``Limits.slots`` samples; finished ones give their places to waiting ones (``shared_batch``), and where
nothing waits the batch shrinks. Prompts read together are sorted by length, so that little is padded.

Each sample's randomness depends on its own request only (``noise``): the same request gives the same text
whatever else is in the batch, except for what floating point does. Matrix products of another size round
differently, so logits move in their last bits, and now and then a near tie falls the other way and the rest
of that text differs. ``stability.share_unchanged`` measures how often on a given model; docs/LAB.md keeps
what was found.

Two paths; ``path_of`` says which is taken and why. *Shared* needs an attention that splits into a prompt part
and a generated part (checked on the model itself) and sequences within any sliding window. *Plain* serves
everything else through the model's own cache, one prompt at a time with all its samples (``plain_decoding``).

Behaviour log-probabilities are those of the model at temperature 1 without truncation, computed in fp32.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from trueline.models.forward.paths import unwrap

from .jobs import Counts, Draw, Ending, Job, Limits
from .plain_decoding import draw_plain
from .shared_batch import Deliver, SharedBatch, Take
from .sharing_check import shareable

Path = Literal["shared", "plain"]


class Sampler:
    """Samples on one module, which must be in evaluation mode. Not thread-safe: one thread a module."""

    def __init__(
        self,
        model: nn.Module,
        *,
        end_tokens: frozenset[int],
        decode: Callable[[Sequence[int]], str],
        limits: Limits | None = None,
        path: Path | None = None,
    ) -> None:
        self._model: Any = unwrap(model)
        self._ending = Ending(end_tokens=end_tokens, decode=decode)
        self._limits = limits or Limits()
        with torch.no_grad():
            self._sharing = shareable(model)
        self._forced = path
        self.counts = Counts()

    def path_of(self, job: Job) -> tuple[Path, str]:
        """Which path a job takes, and why."""
        if self._forced == "plain":
            return "plain", "asked for"
        if not self._sharing.possible:
            return "plain", self._sharing.reason
        length, window = len(job.prompt) + job.limit, self._sharing.window
        if window is not None and length > window:
            return "plain", f"up to {length} tokens outgrow the sliding window of {window}"
        return "shared", self._sharing.reason

    def run(self, take: Take, deliver: Deliver) -> None:
        """Sample until ``take(samples)`` gives no more jobs and all are delivered, each as soon as it is
        done.
        """
        plain: deque[Job] = deque()

        def take_shared(samples: int) -> list[Job]:
            jobs = take(samples)
            chosen = [job for job in jobs if self.path_of(job)[0] == "shared"]
            plain.extend(job for job in jobs if self.path_of(job)[0] == "plain")
            return chosen if chosen or not jobs else take_shared(samples)

        with torch.no_grad():
            while True:
                SharedBatch(
                    self._model, self._ending, self._limits, self._sharing.bytes_per_token, self.counts,
                    take_shared, deliver, self._sharing.fused,
                ).run()  # fmt: skip
                if not plain:
                    return
                while plain:
                    job = plain.popleft()
                    if not job.abandoned():
                        deliver(
                            job, draw_plain(self._model, job, self._ending, self._limits.slots, self.counts)
                        )

    def draw(self, jobs: Sequence[Job]) -> list[tuple[Draw, ...]]:
        """The draws of each job, in the order given."""
        waiting = deque(sorted(jobs, key=lambda job: len(job.prompt)))
        done: dict[int, tuple[Draw, ...]] = {}

        def take(samples: int) -> list[Job]:
            taken: list[Job] = []
            while waiting and samples > 0:
                taken.append(waiting.popleft())
                samples -= taken[-1].sampling.samples
            return taken

        self.run(take, lambda job, draws: done.__setitem__(id(job), draws))
        return [done[id(job)] for job in jobs]
