"""What is watched while a policy trains: divergence, length, repetition, and whatever can be scored from text.

Proxy reward rises while gold falls (Gao et al. 2022, arXiv 2210.10760): these figures stand next to each other
in every line of the history, so that it shows.

Legend: K answers, T tokens.
"""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from inspect import isawaitable
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Conversation
from trueline.core.protocols import RewardModel

from .groups import Group

NGRAM = 4


def repetition(tokens: Sequence[int], n: int = NGRAM) -> float:
    """1 − distinct n-grams / n-grams of an answer (seq-rep-n of Welleck et al. 2019, arXiv 1908.04319), in
    [0, 1); 0 where it has no n tokens."""
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def scores_of(reward: RewardModel, prompt: Conversation, texts: Sequence[str]) -> tuple[float, ...]:
    """A reward's number for each answer. Raises InputError where one is missing or not finite."""
    given = reward(prompt, texts)
    values = tuple(float(value) for value in (asyncio.run(_wait(given)) if isawaitable(given) else given))
    if len(values) != len(texts) or not all(map(math.isfinite, values)):
        raise InputError(
            f"the reward gave {list(values)} for {len(texts)} answers: it must give a finite one for each."
        )
    return values


async def _wait(given: Awaitable[Any]) -> Any:
    return await given


def figures(groups: Sequence[Group]) -> dict[str, float]:
    """Means over the answers of a rollout.

    ``reward``, ``kl`` (k1, nats an answer), ``length`` (tokens), ``repetition`` and ``truncated`` (shares), and
    each watched score under its name; ``mismatch`` (nats a token) where it was found out.
    """
    branches = [branch for group in groups for branch in group.tree.branches]
    tokens = sum(map(len, branches))
    totals = {
        "reward": sum(sum(group.rewards) for group in groups),
        "kl": sum(float(group.kl().sum()) for group in groups),
        "length": float(tokens),
        "repetition": sum(map(repetition, branches)),
        "truncated": float(sum(not ended for group in groups for ended in group.finished)),
    }
    for name in groups[0].watched:
        totals[name] = sum(sum(group.watched[name]) for group in groups)
    line = {name: value / len(branches) for name, value in totals.items()}
    gaps = [group.mismatch for group in groups if group.mismatch is not None]
    return {**line, "mismatch": sum(gaps) / tokens} if gaps else line
