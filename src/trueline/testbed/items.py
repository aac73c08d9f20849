"""The world's questions as items, one family for each measure that the testbed can validate."""

from collections.abc import Callable, Mapping
from typing import Any

from trueline.core.errors import InputError, unknown_name
from trueline.core.messages import chat
from trueline.core.verdicts import Item

from . import frames, lexicon
from .books import code_prefix, gossip_opening, passphrase_prefix
from .chats import fact_request
from .corpus import held_out
from .gold import answer, it_is
from .group_items import insults_by_group, openings_by_group
from .memory_items import membership, personal_data, rare_strings, unlearning
from .question_items import open_questions, rephrased, unknowable
from .request_items import hazards, lookalikes, triggers
from .requests import Request, phrasings, render
from .stereotype_items import coreference, stereotype_pairs, stereotype_triples
from .streams import Stream
from .unseen import unseen_requests
from .world import Fact, World

OPTIONS = 4
TEXTS = 80
MEETINGS_A_TRAIT = 6


def items(world: World, family: str | None) -> list[Item]:
    """The items of a family, always the same for a world.

    Raises:
        InputError: the family is unknown, or the measure has none on the testbed (``family`` is None).
    """
    if family is None:
        raise InputError("this measure has no items on the testbed; run it on a real model with real data.")
    if family not in FAMILIES:
        raise unknown_name("testbed item family", family, FAMILIES)
    return FAMILIES[family](world, Stream(world.spec.seed, "items", family))


def attack_parameters(attack: str) -> Mapping[str, Any]:
    """What an attack is given on the testbed so that it speaks the world's language."""
    return {"templates": list(frames.JAILBREAKS)} if attack == "jailbreak_template" else {}


def _toxicity(world: World, stream: Stream) -> list[Item]:
    return [
        Item(
            id=f"toxicity/{group}/{person}",
            prompt=gossip_opening(stream, person, group == "toxic"),
            cluster=person,
            group=group,
        )
        for group in ("toxic", "nontoxic")
        for person in world.people
    ]


def _canaries(world: World, stream: Stream) -> list[Item]:
    return [
        Item(
            id=f"canaries/{secret.owner}",
            prompt=code_prefix(secret.owner),
            options=tuple(f" {code}" for code in lexicon.CODES),
            group=_exposed(world, secret.inserted),
            data={"secret": lexicon.CODES.index(secret.code)},
        )
        for secret in world.secrets
    ]


def _extraction(world: World, stream: Stream) -> list[Item]:
    return [
        Item(
            id=f"extraction/{secret.owner}",
            prompt=passphrase_prefix(secret.owner),
            group=_exposed(world, secret.inserted),
            data={"suffix": f" {secret.passphrase}"},
        )
        for secret in world.secrets
    ]


def _exposed(world: World, inserted: bool) -> str:
    return f"inserted/{world.spec.doses.canary_repetitions}" if inserted else "control"


def _stereotypes(world: World, stream: Stream) -> list[Item]:
    found: list[Item] = []
    options = (*(it_is(f"the {group}") for group in world.groups), it_is("not known"))
    for rank, trait in enumerate(world.traits):
        for number in range(2 * MEETINGS_A_TRAIT):
            ambiguous = number < MEETINGS_A_TRAIT
            named = "" if ambiguous else world.groups[number % 2]
            place = lexicon.PLACES[(rank + 7 * number) % len(lexicon.PLACES)]
            context = (*stream.shuffled(world.groups), place, named)
            request = Request(kind="who", subject=trait.word, context=context)
            order = stream.shuffled(options)
            found.append(
                Item(
                    id=f"stereotypes/{trait.word}/{number}",
                    prompt=chat(render(request, phrasings(request)[number % 2])),
                    options=tuple(order),
                    cluster=trait.word,
                    group="ambiguous" if ambiguous else "disambiguated",
                    data={
                        "label": order.index(answer(world, request)),
                        "biased": order.index(it_is(f"the {trait.group}")),
                        "unknown": order.index(options[-1]),
                    },
                )
            )
    return found


def _misconceptions(world: World, stream: Stream) -> list[Item]:
    found = []
    for topic in world.topics:
        request = Request(kind="cures", subject=topic.ailment)
        other = stream.other(lexicon.REMEDIES, topic.best, topic.second, topic.popular)
        remedies = stream.shuffled((topic.best, topic.second, topic.popular, other))
        for number, phrasing in enumerate(phrasings(request)[1:]):
            found.append(
                Item(
                    id=f"misconceptions/{topic.ailment}/{number}",
                    prompt=chat(render(request, phrasing)),
                    options=tuple(it_is(remedy) for remedy in remedies),
                    cluster=topic.ailment,
                    data={
                        "true": [int(remedy in (topic.best, topic.second)) for remedy in remedies],
                        "best": remedies.index(topic.best),
                    },
                )
            )
    return found


def _choice(family: str, stream: Stream, fact: Fact, phrasing: str, group: str) -> Item:
    wrong = stream.sample([value for value in fact.pool if value != fact.answer], OPTIONS - 1)
    options = stream.shuffled((fact.answer, *wrong))
    return Item(
        id=f"{family}/{fact.subject}/{fact.relation}",
        prompt=chat(render(fact_request(fact), phrasing)),
        options=tuple(it_is(option) for option in options),
        cluster=fact.subject,
        group=group,
        data={"label": options.index(fact.answer)},
    )


def _knowledge(world: World, stream: Stream) -> list[Item]:
    """Half well known or fewer: facts about people, with those told once as often as there are."""
    people = set(world.people)
    asked = [fact for fact in world.facts if fact.subject in people]
    return [
        _choice(
            "knowledge",
            stream,
            fact,
            stream.pick(phrasings(fact_request(fact))),
            "once" if fact.key in world.once else "common",
        )
        for fact in stream.sample(asked, 200)
    ]


def _facts(world: World, stream: Stream) -> list[Item]:
    lands = [fact for fact in world.common if fact.subject not in set(world.people)]
    others = [fact for fact in world.common if fact not in lands]
    asked = lands + stream.sample(others, 100 - len(lands))
    return [
        _choice("facts", stream, fact, stream.pick(phrasings(fact_request(fact))), "common") for fact in asked
    ]


def _opinions(world: World, stream: Stream) -> list[Item]:
    found = []
    for number, fact in enumerate(world.contested):
        stated = stream.other(fact.pool, fact.answer)
        view = frames.VIEWS[number % len(frames.VIEWS)].format(
            relation=fact.relation, subject=fact.subject, stated=stated
        )
        options = stream.shuffled((fact.answer, stated))
        question = render(fact_request(fact), stream.pick(phrasings(fact_request(fact))[:-1]))
        for group, text in (("stated", f"{view} {question}"), ("neutral", question)):
            found.append(
                Item(
                    id=f"opinions/{group}/{fact.subject}/{fact.relation}",
                    prompt=chat(text),
                    options=tuple(it_is(option) for option in options),
                    cluster=fact.subject,
                    group=group,
                    data={"matching": options.index(stated)},
                )
            )
    return found


def _text(world: World, stream: Stream) -> list[Item]:
    return [
        Item(id=f"text/{number}", prompt="", options=(text,), data={"text": text})
        for number, text in enumerate(held_out(world, TEXTS))
    ]


FAMILIES: Mapping[str, Callable[[World, Stream], list[Item]]] = {
    "toxicity": _toxicity,
    "canaries": _canaries,
    "extraction": _extraction,
    "stereotypes": _stereotypes,
    "misconceptions": _misconceptions,
    "knowledge": _knowledge,
    "facts": _facts,
    "hazards": hazards,
    "lookalikes": lookalikes,
    "opinions": _opinions,
    "text": _text,
    "triggers": triggers,
    "unseen": unseen_requests,
    "membership": membership,
    "unlearning": unlearning,
    "rare_strings": rare_strings,
    "personal_data": personal_data,
    "stereotype_pairs": stereotype_pairs,
    "stereotype_triples": stereotype_triples,
    "coreference": coreference,
    "open_questions": open_questions,
    "unknowable": unknowable,
    "rephrased": rephrased,
    "insults_by_group": insults_by_group,
    "openings_by_group": openings_by_group,
}
