"""Draw one token for each of some samples from their logits, with each sample's own noise.

Shapes: S samples, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .choosing import Rule, choose
from .noise import Stream, exponential
from .sampling_jobs import Slot


class Drawer:
    """Keeps the rule and the buffer of random words of a batch while its rows stay the same."""

    def __init__(self) -> None:
        self._rows: list[Slot | None] = []
        self._rule: Rule | None = None
        self._words: NDArray[np.int32] = np.empty((0, 0), dtype=np.int32)

    def draw(self, logits: Tensor, rows: Sequence[Slot | None]) -> None:
        """Append to each row's sample a token from its logits [S, V]; rows without one are passed over."""
        if self._rule is None or self._rows != rows:
            self._rows = list(rows)
            self._rule = Rule.of(
                [0.0 if slot is None else slot.running.job.sampling.temperature for slot in rows],
                [1.0 if slot is None else slot.running.job.sampling.top_p for slot in rows],
                logits.device,
            )
        tokens, logprobs = choose(logits, self._rule, self._fill(logits))
        for slot, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist()):
            if slot is not None:
                slot.tokens.append(token)
                slot.logprobs.append(logprob)

    def _fill(self, logits: Tensor) -> Tensor | None:
        assert self._rule is not None
        drawn = self._rule.drawn
        if not drawn:
            return None
        if self._words.shape[0] < len(drawn) or self._words.shape[1] != logits.shape[-1]:
            self._words = np.empty((len(drawn), logits.shape[-1]), dtype=np.int32)
        for words, row in zip(self._words, drawn):
            slot = self._rows[row]
            assert slot is not None
            if slot.stream is None:
                slot.stream = Stream(slot.running.job.stream, slot.sample)
            slot.stream.fill(words)
        return exponential(torch.from_numpy(self._words[: len(drawn)]).to(logits.device))
