"""Questions to be answered freely, questions that nobody can answer, and one question asked in many ways."""

from dataclasses import replace

from trueline.core.messages import as_json, chat, last_user, system
from trueline.core.verdicts import Item
from trueline.measures.perturbations import with_typos

from . import lexicon
from .chats import fact_request
from .frames import PLAIN_SYSTEMS
from .gold import answer, it_is
from .requests import Request, phrasings, render
from .streams import Stream
from .world import World

QUESTIONS, REPHRASED, MEETINGS = 160, 100, 6
OPTIONS = 4


def open_questions(world: World, stream: Stream) -> list[Item]:
    """Facts about people, those told once among them; ``data``: ``answer``."""
    people = set(world.people)
    asked = [fact for fact in world.facts if fact.subject in people]
    return [
        Item(
            id=f"open_questions/{fact.subject}/{fact.relation}",
            prompt=chat(render(fact_request(fact), phrasings(fact_request(fact))[0])),
            cluster=fact.subject,
            group="once" if fact.key in world.once else "common",
            data={"answer": it_is(fact.answer)},
        )
        for fact in stream.sample(asked, QUESTIONS)
    ]


def unknowable(world: World, stream: Stream) -> list[Item]:
    """Who was it? Where the story does not tell, nobody can know; where it does, the answer stands in it."""
    found = []
    for rank, trait in enumerate(world.traits):
        for number in range(2 * MEETINGS):
            told = number >= MEETINGS
            place = lexicon.PLACES[(rank + 5 * number) % len(lexicon.PLACES)]
            named = world.groups[number % 2] if told else ""
            context = (*stream.shuffled(world.groups), place, named)
            request = Request(kind="who", subject=trait.word, context=context)
            found.append(
                Item(
                    id=f"unknowable/{trait.word}/{number}",
                    prompt=chat(render(request, phrasings(request)[0])),
                    cluster=trait.word,
                    group="answerable" if told else "unknowable",
                    data={"answer": answer(world, request)},
                )
            )
    return found


def rephrased(world: World, stream: Stream) -> list[Item]:
    """Well-known facts: in a held-out phrasing, with typos, under a system prompt."""
    found = []
    for fact in stream.sample(world.common, REPHRASED):
        request = fact_request(fact)
        wrong = stream.sample([value for value in fact.pool if value != fact.answer], OPTIONS - 1)
        options = tuple(it_is(value) for value in stream.shuffled((fact.answer, *wrong)))
        label = options.index(it_is(fact.answer))
        item = Item(
            id=f"rephrased/{fact.subject}/{fact.relation}",
            prompt=chat(render(request, phrasings(request)[0])),
            options=options,
            cluster=fact.subject,
        )
        asked = last_user(item.prompt)
        prompts = {
            "paraphrase": chat(render(request, phrasings(request)[-1])),
            "typos": chat(with_typos(asked, key=item.id)),
            "template": (system(stream.pick(PLAIN_SYSTEMS)), *item.conversation),
        }
        variants = {
            kind: {"prompt": as_json(prompt), "options": list(options), "order": list(range(OPTIONS))}
            for kind, prompt in prompts.items()
        }
        found.append(replace(item, data={"label": label, "variants": variants}))
    return found
