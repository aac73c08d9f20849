"""Draw one token for each of some samples from their logits, with each sample's own noise.

Shapes: S samples, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .choosing import Rule, choose
from .jobs import Slot
from .noise import Stream, exponential


class Drawer:
    """Keeps the rule and the buffers of a batch while its rows stay the same."""

    def __init__(self) -> None:
        self._rows: list[Slot | None] = []
        self._rule: Rule | None = None
        self._words: NDArray[np.int32] = np.empty((0, 0), dtype=np.int32)
        self._noise = self._work = torch.empty((0, 0))

    def draw(self, logits: Tensor, rows: Sequence[Slot | None]) -> None:
        """Append to each row's sample a token from its logits [S, V]; rows without one are passed over."""
        if self._rule is None or self._rows != rows:
            self._rows = list(rows)
            # Rows without a sample follow the others' rule, so that all rows are treated alike.
            usual = next(slot.running.job.sampling for slot in rows if slot is not None)
            settings = [usual if slot is None else slot.running.job.sampling for slot in rows]
            self._rule = Rule.of(
                [s.temperature for s in settings], [s.top_p for s in settings], logits.device
            )
        if self._work.shape[0] < len(rows) or self._work.shape[1] != logits.shape[-1]:
            self._work = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
        tokens, logprobs = choose(logits, self._rule, self._fill(logits), self._work[: len(rows)])
        for slot, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist()):
            if slot is not None:
                slot.tokens.append(token)
                slot.logprobs.append(logprob)

    def _fill(self, logits: Tensor) -> Tensor | None:
        """Noise [rows drawn, V]; that of rows without a sample means nothing."""
        assert self._rule is not None
        drawn = self._rule.drawn
        if not drawn:
            return None
        if self._words.shape[0] < len(drawn) or self._words.shape[1] != logits.shape[-1]:
            self._words = np.zeros((len(drawn), logits.shape[-1]), dtype=np.int32)
            self._noise = torch.empty(self._words.shape, dtype=torch.float32, device=logits.device)
        for words, row in zip(self._words, drawn):
            if (slot := self._rows[row]) is not None:
                slot.stream = slot.stream or Stream(slot.running.job.stream, slot.sample)
                slot.stream.fill(words)
        words = torch.from_numpy(self._words[: len(drawn)])
        return exponential(words.to(logits.device), self._noise[: len(drawn)])
