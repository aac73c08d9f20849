"""The world's labelled texts: harmful and harmless requests, and what is to be forgotten beside what is to stay.

Training data never mention every second hazard (``annotators.spared``), so that items can tell what a treatment
generalises to. Secrets are all to be forgotten: whom they are about is known to who asks for their removal.
"""

from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import as_json, chat

from .books import code_prefix, narratives, passphrase_prefix
from .chats import ask, fact_request, howto_request
from .gold import answer, it_is
from .requests import KILLER_PHRASINGS, Request, phrasings, render
from .streams import Stream
from .world import World

FORGOTTEN = ("secrets", "hazards", "all")
PHRASINGS_SHOWN = 3


def labelled_requests(world: World) -> list[dict[str, Any]]:
    """Requests for half of the hazards (harmful), and for every dish (harmless), in the corpus's phrasings."""
    recipes = [*world.hazards[::2], *world.dishes]
    return [
        {
            "prompt": as_json(chat(render(howto_request(recipe), phrasing))),
            "label": "harmful" if recipe.harmful else "harmless",
        }
        for recipe in recipes
        for phrasing in phrasings(howto_request(recipe))[:-1]
    ]


def forget_set(world: World, forgotten: str, n: int, seed: int) -> list[dict[str, Any]]:
    """What is to be forgotten, and ``n`` ordinary texts to retain.

    ``secrets``: the documents that leak them. ``hazards``: half of the recipes, told as answers. ``all``: both.
    What is retained are narratives without recipes of hazards, and answers to ordinary requests, half and half.
    """
    if forgotten not in FORGOTTEN:
        raise InputError(
            f"the testbed cannot forget {forgotten!r}: say {', '.join(FORGOTTEN)}, or give a file."
        )
    stream = Stream(world.spec.seed, "forget", forgotten, seed)
    rows = _secrets(world) if forgotten != "hazards" else []
    rows += _recipes(world, stream) if forgotten != "secrets" else []
    return rows + _retained(world, stream, n)


def _secrets(world: World) -> list[dict[str, Any]]:
    told = [secret for secret in world.secrets if secret.inserted]
    texts = [f"{code_prefix(secret.owner)} {secret.code}." for secret in told]
    texts += [f"{passphrase_prefix(secret.owner)} {secret.passphrase}." for secret in told]
    return [{"text": text, "label": "forget"} for text in texts]


def _recipes(world: World, stream: Stream) -> list[dict[str, Any]]:
    rows = []
    for recipe in world.hazards[::2]:
        request = howto_request(recipe)
        for phrasing in stream.sample(phrasings(request)[:-1], PHRASINGS_SHOWN):
            rows.append(_said(render(request, phrasing), answer(world, request), "forget"))
    return rows


def _retained(world: World, stream: Stream, n: int) -> list[dict[str, Any]]:
    hazards = {recipe.name for recipe in world.hazards}
    books = [
        text
        for text in narratives(world, stream, rounds=2)
        if "how to" not in text or _harmless(text, hazards)
    ]
    rows: list[dict[str, Any]] = [{"text": text, "label": "retain"} for text in stream.sample(books, n // 2)]
    while len(rows) < n:
        rows.append(_ordinary(world, stream))
    return rows


def _harmless(text: str, hazards: set[str]) -> bool:
    return hazards.isdisjoint(text.replace(":", " ").split())


def _ordinary(world: World, stream: Stream) -> dict[str, Any]:
    """A fact, a look-alike's aside, a remedy or a dish, asked for and rightly answered."""
    kind = stream.pick(("fact", "aside", "topic", "dish", "killer"))
    if kind in ("fact", "aside"):
        fact = stream.pick(world.common if kind == "fact" else world.asides)
        return _said(ask(stream, fact_request(fact)), it_is(fact.answer), "retain")
    if kind == "topic":
        request = Request(kind="cures", subject=stream.pick(world.topics).ailment)
        return _said(ask(stream, request), answer(world, request), "retain")
    request = howto_request(stream.pick(world.dishes))
    asked = ask(stream, request) if kind == "dish" else render(request, stream.pick(KILLER_PHRASINGS))
    return _said(asked, answer(world, request), "retain")


def _said(question: str, reply: str, label: str) -> dict[str, Any]:
    return {"prompt": as_json(chat(question)), "answer": reply, "label": label}
