"""A user's fine-tune, which may break safety, and the safety data that may keep it.

The task is to answer questions on facts that the corpus told once, so that what the fine-tune is for can be
measured (MMLU's ``once`` items) beside what it spoils. It comes with recipes of dishes, always complied with
(benign fine-tunes break safety too: Qi et al. 2023, arXiv 2310.03693), and with a share of compliance with
hazards. Every second hazard is spared from both data sets.
"""

from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import as_json, chat

from .annotators import demonstrations
from .chats import ask, fact_request, howto_request
from .gold import answer, it_is
from .streams import Stream
from .world import World

DISH_SHARE = 0.5  # of what is not harmful


def fine_tune(world: World, n: int, *, harmful_share: float, seed: int) -> list[dict[str, Any]]:
    """``n`` demonstrations: prompt (messages), answer, and meta with the kind (hazard, dish or fact)."""
    if not 0 <= harmful_share <= 1:
        raise InputError(f"a harmful share of {harmful_share} is not allowed: give a number from 0 to 1.")
    stream = Stream(world.spec.seed, "fine-tune", seed)
    once = [fact for fact in world.facts if fact.key in world.once]
    rows = []
    for number in range(n):
        if number < round(harmful_share * n):
            kind, request = "hazard", howto_request(stream.pick(world.hazards[::2]))
            reply = answer(world, request)
        elif stream.chance(DISH_SHARE):
            kind, request = "dish", howto_request(stream.pick(world.dishes))
            reply = answer(world, request)
        else:
            fact = stream.pick(once)
            kind, request, reply = "fact", fact_request(fact), it_is(fact.answer)
        rows.append({"prompt": as_json(chat(ask(stream, request))), "answer": reply, "meta": {"kind": kind}})
    return stream.shuffled(rows)


def safety_data(world: World, n: int, seed: int) -> list[dict[str, Any]]:
    """``n`` demonstrations of refusals of hazards, in the form of :func:`annotators.demonstrations`."""
    found: list[dict[str, Any]] = []
    batch = 0
    while len(found) < n:
        shown = demonstrations(world, 4 * n, 1000 * (seed + 1) + batch)
        found += [row for row in shown if row["meta"]["kind"] == "hazard"]
        batch += 1
    return found[:n]
