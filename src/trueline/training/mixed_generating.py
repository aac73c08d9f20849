"""Answers drawn from a mixture of teacher and student, token by token (Gu et al. 2023, arXiv 2306.08543, equation 4).

    p̃ = α p + (1 − α) q
A student drawn alone wanders where its teacher knows nothing; what both write together stays readable. Each model keeps
its own cache; prompts of equal length run together, so that no row is padded. The log-probabilities given are log p̃.

Shapes: S rows, V vocabulary.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.forward.paths import unwrap
from trueline.models.sampling.drawing import Drawer
from trueline.models.sampling.jobs import Draw, Ending, Job, Running, Slot
from trueline.models.sampling.plain_decoding import CachedReader

from .codec import Speech
from .scoring import Forward

ROWS = 128  # samples that are drawn together


def mixed(teacher: Tensor, student: Tensor, share: float) -> Tensor:
    """log(α p + (1 − α) q) from logits [S, V] of both, in fp32; ``share`` α in [0, 1)."""
    q = torch.log_softmax(student.float(), dim=-1)
    if share == 0:
        return q
    p = torch.log_softmax(teacher.float(), dim=-1)
    return torch.logaddexp(p + math.log(share), q + math.log1p(-share))


class MixedGenerator:
    """Draws from teacher and student together; ``share`` is the teacher's α."""

    def __init__(self, teacher: nn.Module, share: float) -> None:
        if not 0 <= share < 1:
            raise InputError(f"teacher_share {share} is not allowed: give a number in [0, 1).")
        self._teacher, self._share = teacher, share

    @property
    def exact(self) -> bool:
        """Its log-probabilities are the mixture's, not the trainer's."""
        return False

    @property
    def teacher_draws(self) -> bool:
        """Whether the teacher reads along."""
        return self._share > 0

    def fingerprint(self) -> str:
        """The share."""
        return f"mixed {self._share}"

    def begin(self, model: nn.Module, speech: Speech, forward: Forward) -> None:
        """Remember the student."""
        self._student, self._forward = model, forward
        self._ending = Ending(end_tokens=speech.end_tokens, decode=speech.decode)

    def sync_weights(self) -> None:
        """Nothing to do: the student is the module that is trained."""

    def draw(self, jobs: Sequence[Job]) -> list[tuple[Draw, ...]]:
        """Draws in evaluation mode, in the run's precision."""
        running = [Running.of(job) for job in jobs]
        alike: dict[int, list[Slot]] = defaultdict(list)
        for run in running:
            alike[len(run.job.prompt)] += [Slot(run, s) for s in range(run.job.sampling.samples)]
        training = self._student.training
        self._student.eval()
        with torch.no_grad(), self._forward.autocast():
            for slots in alike.values():
                for start in range(0, len(slots), ROWS):
                    self._together(slots[start : start + ROWS])
        self._student.train(training)
        return [run.finished or () for run in running]

    def _together(self, rows: list[Slot]) -> None:
        models: list[Any] = [self._student] if self._share == 0 else [self._student, self._teacher]
        readers = [CachedReader(unwrap(model)) for model in models]
        logits = [reader.read([slot.running.job.prompt for slot in rows]) for reader in readers]
        drawer = Drawer()
        while True:
            drawer.draw(mixed(logits[-1].to(logits[0].device), logits[0], self._share), rows)
            ends = [self._ending.of(slot) for slot in rows]
            for slot, finish in zip(rows, ends):
                if finish is not None:
                    slot.end(finish)
            going = [at for at, finish in enumerate(ends) if finish is None]
            if not going:
                return
            if len(going) < len(rows):
                rows = [rows[at] for at in going]
                for reader in readers:
                    reader.select(going)
            logits = [reader.step([slot.tokens for slot in rows]) for reader in readers]
