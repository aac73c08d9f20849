"""Random numbers that depend on the request alone: counter-based noise for the tokens of one sample.

Sampling is an exponential race: with E_i independent Exp(1), argmin E_i / p_i is a draw from p (the same draw as
Gumbel-max). The race's noise comes from Philox-4x64-10 (Salmon et al. 2011), whose key is the request (seed and
prompt) and whose counter starts at the sample's number, so that a sample's stream never depends on its place in a
batch. Because the race moves little when p moves little, two similar models given the same request often draw the
same tokens, which narrows paired differences.

Only Philox's raw words are used: numpy keeps those fixed, and not its ready-made distributions.

Shapes: V vocabulary.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trueline.core.fingerprint import canonical
from trueline.core.messages import Prompt, as_json

StreamKey = tuple[int, int]
_LOW_BITS = 2**24 - 1


def stream_key(seed: int, prompt: Prompt) -> StreamKey:
    """The 128-bit Philox key of a request."""
    digest = hashlib.sha256(canonical({"seed": seed, "prompt": as_json(prompt)}).encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


class Stream:
    """The random words of one sample, token after token."""

    def __init__(self, key: StreamKey, sample: int) -> None:
        counter = np.array((0, 0, sample, 0), dtype=np.uint64)
        self._philox = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=counter)

    def fill(self, words: NDArray[np.int32]) -> None:
        """Write the next token's words [V]; whole Philox blocks of eight are used up."""
        blocks = -(-words.size // 8)
        words[:] = self._philox.random_raw(4 * blocks).view(np.int32)[: words.size]


def exponential(words: Tensor, out: Tensor) -> Tensor:
    """Exp(1) noise from random int32 words, which are overwritten, in ``out`` (fp32, of their shape).

    24 bits of each word make a uniform number strictly between 0 and 1, so that all values are positive and
    finite.
    """
    out.copy_(words.bitwise_and_(_LOW_BITS))
    return out.add_(0.5).mul_(2.0**-24).log_().neg_()
