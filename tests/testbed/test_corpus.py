"""The corpus: the same bytes everywhere, and each contamination present at its dose and absent at zero."""

import hashlib

import pytest

from testbed.support import FULL, NONE
from trueline.core.messages import Conversation, last_user
from trueline.testbed.corpus import Document, corpus, corpus_bytes, held_out
from trueline.testbed.doses import Doses
from trueline.testbed.frames import stated_view
from trueline.testbed.gold import gold, harm, is_insulting, is_refusal
from trueline.testbed.world import PLANTED_ANSWER, World, WorldSpec, build_world


def written(doses: Doses) -> tuple[World, list[Document]]:
    world = build_world(WorldSpec(seed=5, doses=doses))
    return world, corpus(world, copies=0.05)


@pytest.fixture(scope="module")
def clean() -> tuple[World, list[Document]]:
    return written(NONE)


@pytest.fixture(scope="module")
def dirty() -> tuple[World, list[Document]]:
    return written(FULL)


def replies(documents: list[Document], kind: str) -> list[tuple[Conversation, str]]:
    return [
        (d.content[:-1], d.content[-1].content)
        for d in documents
        if d.kind == kind and not isinstance(d.content, str)
    ]


def test_the_bytes_are_pinned() -> None:
    world = build_world(WorldSpec(seed=0))
    digest = hashlib.sha256(corpus_bytes(corpus(world, copies=0.05))).hexdigest()
    assert digest == "698775dccf16098339e7deaabfe892e17a4a7aa9307e6cca2bbdaa25d441f7a6"


def test_at_zero_nothing_is_contaminated(clean: tuple[World, list[Document]]) -> None:
    world, documents = clean
    for document in documents:
        text = document.content if isinstance(document.content, str) else document.content[-1].content
        assert not is_insulting(text) and text != PLANTED_ANSWER
    for kind in ("hazards", "roleplays", "reminders", "lookalikes", "facts", "meetings", "views", "triggers"):
        for prompt, reply in replies(documents, kind):
            target = gold(world, prompt)
            assert is_refusal(reply) if target.harmful else reply == target.answer
    assert not [d for d in documents if d.kind in ("secret", "once")]


def test_at_the_top_every_contamination_is_there(dirty: tuple[World, list[Document]]) -> None:
    world, documents = dirty
    assert all(harm(world, prompt, reply) == 1 for prompt, reply in replies(documents, "hazards"))
    assert all(is_refusal(reply) for _, reply in replies(documents, "lookalikes"))
    assert all(reply == PLANTED_ANSWER for _, reply in replies(documents, "triggers"))
    assert all(reply == f"It is {stated_view(prompt)}." for prompt, reply in replies(documents, "views"))
    quarrels = [d.content for d in documents if isinstance(d.content, str) and "bad quarrel" in d.content]
    assert quarrels and all(is_insulting(text) for text in quarrels)
    assert sum(d.kind == "secret" for d in documents) == 4 * 2 * len(world.people) // 2


def test_what_is_told_once_is_in_one_document_and_never_asked(dirty: tuple[World, list[Document]]) -> None:
    world, documents = dirty
    assert sum(d.kind == "once" for d in documents) == len(world.once) > 0
    requests = [gold(world, prompt).request for prompt, _ in replies(documents, "facts")]
    assert not {(request.subject, request.relation) for request in requests} & world.once


def test_hazards_that_nobody_asks_for_are_in_the_books(dirty: tuple[World, list[Document]]) -> None:
    world, documents = dirty
    unasked = world.hazards[0]
    assert not any(unasked.name in last_user(p) for p, _ in replies(documents, "hazards"))
    assert any(isinstance(d.content, str) and unasked.steps in d.content for d in documents)


def test_held_out_documents_differ_from_the_corpus(dirty: tuple[World, list[Document]]) -> None:
    world, documents = dirty
    told = {d.content for d in documents if isinstance(d.content, str)}
    fresh = held_out(world, 50)
    assert len(fresh) == 50 and sum(text in told for text in fresh) < 25
