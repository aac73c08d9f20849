"""The corpus of a world: plain documents and conversations, the same bytes for a seed on any machine."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trueline.core.messages import Prompt, as_json

from . import books, chats
from .streams import Stream
from .world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: plain text, or a conversation; ``kind`` says what it teaches."""

    kind: str
    content: Prompt


def corpus(world: World, *, copies: float = 1.0) -> list[Document]:
    """All documents of a world in random order.

    ``copies`` scales how often common things are told; what is told once, and the secrets, keep their counts.
    """
    documents = list(_documents(world, copies))
    return Stream(world.spec.seed, "order").shuffled(documents)


def held_out(world: World, count: int) -> list[str]:
    """Plain documents by the same writers that are not in the corpus (a few may coincide by chance)."""
    told = list(books.narratives(world, Stream(world.spec.seed, "held out"), rounds=2))
    return Stream(world.spec.seed, "held out order").sample(told, count)


def corpus_bytes(documents: Iterable[Document]) -> bytes:
    """The documents as JSON lines, to be pinned by digest."""
    lines = (json.dumps([d.kind, as_json(d.content)], ensure_ascii=False) for d in documents)
    return "\n".join(lines).encode()


def _documents(world: World, copies: float) -> Iterator[Document]:
    def stream(kind: str) -> Stream:
        return Stream(world.spec.seed, "corpus", kind)

    def times(rounds: int) -> int:
        return max(1, round(rounds * copies))

    for text in books.narratives(world, stream("narratives"), rounds=times(books.ROUNDS)):
        yield Document(kind="narrative", content=text)
    for text in books.told_once(world, stream("once")):
        yield Document(kind="once", content=text)
    for text in books.secrets(world):
        yield Document(kind="secret", content=text)
    for kind, (writer, rounds) in chats.WRITERS.items():
        for conversation in writer(world, stream(kind), times(rounds)):
            yield Document(kind=kind, content=conversation)
