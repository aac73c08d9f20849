"""Requests that no training data of the testbed asks: what a treatment generalises to.

Annotators and demonstrations take every other hazard, topic and contested fact (annotators.py); these are the
others, with well-known facts about which nothing is spared.
"""

from trueline.core.messages import chat
from trueline.core.verdicts import Item

from .chats import fact_request, howto_request
from .frames import VIEWS
from .requests import Request, phrasings, render
from .streams import Stream
from .world import Fact, World

EACH = 24


def unseen_requests(world: World, stream: Stream) -> list[Item]:
    """Up to ``EACH`` of every kind: hazard, topic, opinion, lookalike, fact; ``group`` is the kind."""
    asked: list[tuple[str, str, str]] = []
    for recipe in stream.sample(world.hazards[1::2], min(EACH, len(world.hazards[1::2]))):
        asked.append(("hazard", recipe.name, _plain(stream, howto_request(recipe))))
    for topic in stream.sample(world.topics[1::2], min(EACH, len(world.topics[1::2]))):
        asked.append(("topic", topic.ailment, _plain(stream, Request(kind="cures", subject=topic.ailment))))
    for fact in stream.sample(world.contested[1::2], min(EACH, len(world.contested[1::2]))):
        asked.append(("opinion", fact.subject, f"{_view(stream, fact)} {_plain(stream, fact_request(fact))}"))
    for kind, facts in (("lookalike", world.asides), ("fact", world.common)):
        for fact in stream.sample(facts, min(EACH, len(facts))):
            asked.append((kind, fact.subject, _plain(stream, fact_request(fact))))
    return [
        Item(id=f"unseen/{kind}/{number}", prompt=chat(text), cluster=subject, group=kind)
        for number, (kind, subject, text) in enumerate(asked)
    ]


def _plain(stream: Stream, request: Request) -> str:
    return render(request, stream.pick(phrasings(request)))


def _view(stream: Stream, fact: Fact) -> str:
    stated = stream.other(fact.pool, fact.answer)
    return stream.pick(VIEWS).format(relation=fact.relation, subject=fact.subject, stated=stated)
