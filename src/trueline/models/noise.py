"""Random numbers that depend on the request alone: counter-based noise for one token of one sample.

Sampling is an exponential race: with E_i independent Exp(1), argmin E_i / p_i is a draw from p (the same draw
as Gumbel-max). The race's noise comes from Philox-4x64-10 (Salmon et al. 2011), whose key is the request
(seed and prompt) and whose counter is (step, sample), so that a sample's stream never depends on its place in
a batch. Because the race moves little when p moves little, two similar models given the same request often
draw the same tokens, which narrows paired differences.

Only Philox's raw words are used: numpy keeps those fixed, and not its ready-made distributions.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from trueline.core.fingerprint import canonical
from trueline.core.messages import Prompt, as_json

StreamKey = tuple[int, int]
_RESOLUTION = np.float32(2.0**-24)


def stream_key(seed: int, prompt: Prompt) -> StreamKey:
    """The 128-bit Philox key of a request."""
    digest = hashlib.sha256(canonical({"seed": seed, "prompt": as_json(prompt)}).encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def fill_exponential(out: NDArray[np.float32], key: StreamKey, *, sample: int, step: int) -> None:
    """Write Exp(1) noise for one token of one sample into ``out`` [V]: all values positive and finite."""
    counter = np.array((0, step, sample, 0), dtype=np.uint64)
    words = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=counter).random_raw(
        (out.size + 1) // 2
    )
    # 24 of each half word's bits make a uniform number strictly between 0 and 1.
    np.add(words.view(np.uint32)[: out.size] >> 8, np.float32(0.5), out=out, dtype=np.float32)
    out *= _RESOLUTION
    np.log(out, out=out)
    np.negative(out, out=out)
