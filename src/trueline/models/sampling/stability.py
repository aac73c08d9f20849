"""How often floating point lets the rest of a batch change a text: the honest limit of seeded sampling."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from trueline.core.errors import InputError
from trueline.core.messages import Prompt, Sampling
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

from .jobs import Limits


async def share_unchanged(
    target: LocalTarget, prompts: Sequence[Prompt], sampling: Sampling, *, slots: Sequence[int] = (1, 8, 64)
) -> dict[int, float]:
    """For each size of the running batch, the share of texts equal to those drawn one at a time, in [0, 1].

    One at a time means that every prompt is read alone and every sample runs alone. The weights are loaded once
    for each size.
    """
    if not prompts:
        raise InputError("no prompts were given; give at least one.")
    alone = await _texts(target, prompts, sampling, Limits(slots=1, prefill_tokens=1))
    shares = {}
    for size in slots:
        texts = await _texts(target, prompts, sampling, Limits(slots=size))
        shares[size] = sum(a == b for a, b in zip(alone, texts, strict=True)) / len(alone)
    return shares


async def _texts(
    target: LocalTarget, prompts: Sequence[Prompt], sampling: Sampling, limits: Limits
) -> list[tuple[int, ...]]:
    separate = replace(target, engine=Engine(limits=limits))
    found = await asyncio.gather(*(separate.generate(prompt, sampling) for prompt in prompts))
    return [completion.token_ids for completions in found for completion in completions]
