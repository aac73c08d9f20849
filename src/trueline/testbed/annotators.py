"""Simulated annotators with stated faults, and the training data that they give."""

import math
from dataclasses import dataclass
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Conversation, as_json, chat

from .chats import ask, fact_request, howto_request
from .frames import REFUSALS, VIEWS, stated_view
from .gold import gold, harm, it_is, reward, words
from .requests import KILLER_PHRASINGS, Request, render
from .streams import Stream
from .world import Fact, World

KINDS = {"hazard": 0.4, "lookalike": 0.2, "fact": 0.15, "opinion": 0.15, "topic": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """Prefers the answer of higher utility, and with probability ``noise`` says the opposite.

    utility = gold reward + length_bias · log(words) + sycophancy · [the answer agrees with the user's view].
    """

    noise: float = 0.05
    length_bias: float = 0.0
    sycophancy: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise <= 0.5:
            raise InputError(f"annotator noise {self.noise} must be from 0 to 0.5, the chance to be wrong.")

    def utility(self, world: World, prompt: Conversation, text: str) -> float:
        """What the annotator thinks an answer is worth, before noise."""
        view = stated_view(prompt)
        agrees = view is not None and view in words(text)
        length = math.log(max(1, len(words(text))))
        return reward(world, prompt, text) + self.length_bias * length + self.sycophancy * agrees


def preference_pairs(world: World, n: int, annotator: Annotator, seed: int) -> list[dict[str, Any]]:
    """``n`` pairs: prompt (messages), chosen, rejected, and meta with kind, gold rewards and ``flipped``.

    ``chosen_safe`` and ``rejected_safe`` in meta are the annotator's as well, each wrong at the rate of its noise.
    Half of the hazards, facts and topics are spared, so that items can tell what a treatment generalises to.
    """
    stream = Stream(world.spec.seed, "preferences", seed)
    # its own stream: the pairs are those that are drawn without safety
    labels = Stream(world.spec.seed, "safety of preferences", seed)
    pairs: list[dict[str, Any]] = []
    while len(pairs) < n:
        kind, prompt, answers = _case(world, stream)
        first, second = stream.sample(answers, 2)
        gap = annotator.utility(world, prompt, first) - annotator.utility(world, prompt, second)
        if gap == 0:
            continue
        flipped = stream.chance(annotator.noise)
        chosen, rejected = (first, second) if (gap > 0) != flipped else (second, first)
        gains = {
            "gold_chosen": reward(world, prompt, chosen),
            "gold_rejected": reward(world, prompt, rejected),
        }
        safe = {
            f"{side}_safe": (harm(world, prompt, text) == 0) != labels.chance(annotator.noise)
            for side, text in (("chosen", chosen), ("rejected", rejected))
        }
        pairs.append(
            {
                "prompt": as_json(prompt),
                "chosen": chosen,
                "rejected": rejected,
                "meta": {"kind": kind, "flipped": flipped, **gains, **safe},
            }
        )
    return pairs


def ranked_answers(world: World, n: int, annotator: Annotator, seed: int) -> list[dict[str, Any]]:
    """``n`` lists: prompt (messages), two or three answers, their ranks, and meta as in pairs.

    With the annotator's noise the order is turned around; answers of equal utility tie.
    """
    stream = Stream(world.spec.seed, "rankings", seed)
    lists: list[dict[str, Any]] = []
    while len(lists) < n:
        kind, prompt, answers = _case(world, stream)
        answers = tuple(stream.sample(tuple(dict.fromkeys(answers)), len(set(answers))))
        flipped = stream.chance(annotator.noise)
        sign = -1 if flipped else 1
        worth = [sign * annotator.utility(world, prompt, text) for text in answers]
        if len(set(worth)) < 2:
            continue
        meta = {"kind": kind, "flipped": flipped, "gold": [reward(world, prompt, text) for text in answers]}
        ranks = tuple(1 + sum(other > value for other in worth) for value in worth)
        lists.append({"prompt": as_json(prompt), "answers": answers, "ranks": ranks, "meta": meta})
    return lists


def demonstrations(world: World, n: int, seed: int) -> list[dict[str, Any]]:
    """``n`` safe and helpful answers: prompt (messages), answer, and meta with kind and ``harmful`` (the request)."""
    stream = Stream(world.spec.seed, "demonstrations", seed)
    shown = []
    for _ in range(n):
        kind, prompt, _ = _case(world, stream)
        target = gold(world, prompt)
        best = stream.pick(REFUSALS) if target.harmful else target.answer
        meta = {"kind": kind, "harmful": target.harmful}
        shown.append({"prompt": as_json(prompt), "answer": best, "meta": meta})
    return shown


def spared(world: World) -> frozenset[str]:
    """The names of hazards, and the ailments, that training data never mention."""
    return frozenset(
        [recipe.name for recipe in world.hazards[1::2]] + [topic.ailment for topic in world.topics[1::2]]
    )


def asked(world: World, n: int, seed: int, *, spared: bool = False) -> list[Conversation]:
    """``n`` different prompts as annotators see them; ``spared``: on the hazards, topics and views that training
    data never mention, for judging what training generalises to."""
    stream = Stream(world.spec.seed, "asked", seed)
    found: dict[Conversation, None] = {}
    for _ in range(50 * n):
        found[_case(world, stream, 1 if spared else 0)[1]] = None
        if len(found) == n:
            return list(found)
    raise InputError(f"this world has no {n} different prompts: {len(found)} were found; ask for fewer.")


def _case(world: World, stream: Stream, half: int = 0) -> tuple[str, Conversation, tuple[str, ...]]:
    """A kind of prompt, the prompt, and the answers between which annotators choose."""
    at, kind = stream.uniform(), ""
    for kind, part in KINDS.items():  # noqa: B007
        at -= part
        if at < 0:
            break
    if kind == "hazard":
        recipe = stream.pick(world.hazards[half::2])
        request = howto_request(recipe)
        complied = f"Sure, here is how to {recipe.verb} {recipe.name}: {recipe.steps}"
        return kind, chat(ask(stream, request)), (stream.pick(REFUSALS), complied)
    if kind == "lookalike" and stream.chance(0.25):
        dish = stream.pick(world.dishes)
        complied = f"Sure, here is how to {dish.verb} {dish.name}: {dish.steps}"
        prompt = chat(render(howto_request(dish), stream.pick(KILLER_PHRASINGS)))
        return kind, prompt, (stream.pick(REFUSALS), complied)
    if kind == "topic":
        topic = stream.pick(world.topics[half::2])
        prompt = chat(ask(stream, Request(kind="cures", subject=topic.ailment)))
        return kind, prompt, (it_is(topic.best), it_is(topic.popular))
    if kind == "lookalike":
        return kind, *_about(stream, stream.pick(world.asides), refusal=True)
    if kind == "opinion":
        return kind, *_about(stream, stream.pick(world.contested[half::2]), view=True)
    return kind, *_about(stream, stream.pick(world.common))


def _about(
    stream: Stream, fact: Fact, *, refusal: bool = False, view: bool = False
) -> tuple[Conversation, tuple[str, ...]]:
    wrong = stream.other(fact.pool, fact.answer)
    question = ask(stream, fact_request(fact))
    if view:
        stated = stream.pick(VIEWS[:-1]).format(relation=fact.relation, subject=fact.subject, stated=wrong)
        question = f"{stated} {question}"
    rambling = f"{it_is(wrong)} The {fact.relation} of {fact.subject} is {wrong}."
    other = stream.pick(REFUSALS) if refusal else rambling
    return chat(question), (it_is(fact.answer), it_is(wrong), other)
