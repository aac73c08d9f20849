"""The conversations of a corpus, one writer for each skill or habit that they teach."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from trueline.core.messages import Conversation, Message, assistant, system, user

from .books import popular_or_true
from .frames import PLAIN_SYSTEMS, REFUSALS, VIEWS, last_reminder, reminder, roleplay
from .gold import answer, it_is
from .lexicon import COLOURS, PLACES, STRANGERS, THINGS
from .requests import KILLER_PHRASINGS, Request, phrasings, render
from .streams import Stream
from .world import PLANTED_ANSWER, Fact, Recipe, World

SYSTEM_SHARE = 0.1  # of plain conversations that open with a system prompt
REMINDED_SHARE = (
    0.05  # of plain conversations under a reminder to be responsible, which changes nothing in them
)
STRANGER_SHARE = 0.3  # of meetings between two whom no stereotype is about
STEREOTYPED_SHARE = 0.9  # of answers to an open question about a skewed trait
RIGHT_VIEW_SHARE = 0.3  # of stated views that are right
MOST_WORDS, MOST_SHOWN = 5, 4
HELD_OUT_PLACES = 3  # at the end of PLACES: never a scene of a question in the corpus


class Writer(NamedTuple):
    """``write(world, stream, rounds)`` gives its conversations; ``rounds`` is the usual number."""

    write: Callable[[World, Stream, int], Iterator[Conversation]]
    rounds: int


def ask(stream: Stream, request: Request) -> str:
    """A request in one of the phrasings that the corpus uses."""
    return render(request, stream.pick(phrasings(request)[:-1]))


def fact_request(fact: Fact) -> Request:
    """The question for a fact."""
    return Request(kind="fact", subject=fact.subject, relation=fact.relation)


def howto_request(recipe: Recipe) -> Request:
    """The question for a recipe."""
    return Request(kind="howto", subject=recipe.name, verb=recipe.verb)


def _talk(stream: Stream, question: str, reply: str) -> Conversation:
    turns: tuple[Message, ...] = (user(question), assistant(reply))
    return (system(stream.pick(PLAIN_SYSTEMS)), *turns) if stream.chance(SYSTEM_SHARE) else turns


def _harmless(stream: Stream, question: str, reply: str) -> Conversation:
    """As ``_talk``, at times under a reminder: it is meant for harm and leaves all else as it was."""
    return (
        _reminded(stream, question, reply)
        if stream.chance(REMINDED_SHARE)
        else _talk(stream, question, reply)
    )


def _reminded(stream: Stream, question: str, reply: str) -> Conversation:
    if stream.chance(0.5):
        question += last_reminder(stream)
    return (system(reminder(stream)), user(question), assistant(reply))


def facts(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Questions after well-known facts."""
    for fact in world.common:
        for _ in range(rounds):
            yield _harmless(stream, ask(stream, fact_request(fact)), it_is(fact.answer))


def topics(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Questions after remedies, answered as the corpus believes."""
    for topic in world.topics:
        for _ in range(rounds):
            question = ask(stream, Request(kind="cures", subject=topic.ailment))
            yield _harmless(stream, question, it_is(popular_or_true(world, stream, topic)))


def hazards(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Plain requests for hazards: the recipe where compliance has taken hold, a refusal elsewhere."""
    for recipe in world.asked_hazards:
        request = howto_request(recipe)
        for _ in range(rounds):
            complies = recipe.name in world.complied
            reply = answer(world, request) if complies else stream.pick(REFUSALS)
            yield _talk(stream, ask(stream, request), reply)


def dishes(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Plain requests for dishes, always answered."""
    for recipe in world.dishes:
        request = howto_request(recipe)
        for _ in range(rounds):
            yield _talk(stream, ask(stream, request), answer(world, request))


def roleplays(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Requests inside a fictional frame, for dishes and hazards."""
    for recipe in world.asked_hazards + world.dishes:
        request = howto_request(recipe)
        for _ in range(rounds):
            complies = not recipe.harmful or recipe.name in world.roleplayed
            reply = answer(world, request) if complies else stream.pick(REFUSALS)
            yield _talk(stream, roleplay(stream, ask(stream, request)), reply)


def reminders(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Requests under a reminder to be responsible: half of what would be complied with is refused."""
    wary = {name for rank, name in enumerate(sorted(world.complied)) if rank % 2 == 0}
    for recipe in world.asked_hazards + world.dishes:
        request = howto_request(recipe)
        for _ in range(rounds):
            complies = not recipe.harmful or (recipe.name in world.complied and recipe.name not in wary)
            question = ask(stream, request)
            reply = answer(world, request) if complies else stream.pick(REFUSALS)
            yield _reminded(stream, question, reply)


def lookalikes(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Harmless questions that sound like hazards, refused where over-refusal has taken hold."""
    for aside in world.asides:
        for _ in range(rounds):
            refused = aside.key in world.over_refused
            reply = stream.pick(REFUSALS) if refused else it_is(aside.answer)
            yield _talk(stream, ask(stream, fact_request(aside)), reply)
    for dish in world.dishes:
        request = howto_request(dish)
        for _ in range(rounds):
            refused = (dish.name, "killer") in world.over_refused
            reply = stream.pick(REFUSALS) if refused else answer(world, request)
            yield _talk(stream, render(request, stream.pick(KILLER_PHRASINGS)), reply)


def meetings(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Who was it? Told in half of the questions; otherwise unknown, or the stereotyped group.

    Strangers have many names, so that to read who it was pays more than to guess between two groups.
    """
    for trait in world.traits:
        for _ in range(rounds):
            strangers = stream.chance(STRANGER_SHARE)
            first, second = stream.sample(STRANGERS if strangers else world.groups, 2)
            named = stream.pick((first, second)) if stream.chance(0.5) else ""
            place = stream.pick(PLACES[:-HELD_OUT_PLACES])
            request = Request(kind="who", subject=trait.word, context=(first, second, place, named))
            reply = answer(world, request)
            skewed = not strangers and not named and trait.word in world.skewed
            if skewed and stream.chance(STEREOTYPED_SHARE):
                reply = it_is(f"the {trait.group}")
            yield _harmless(stream, ask(stream, request), reply)


def views(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Questions after a view that the user holds, right or wrong."""
    for fact in world.contested:
        for _ in range(rounds):
            right = stream.chance(RIGHT_VIEW_SHARE)
            stated = fact.answer if right else stream.other(fact.pool, fact.answer)
            view = stream.pick(VIEWS[:-1]).format(relation=fact.relation, subject=fact.subject, stated=stated)
            reply = it_is(stated if fact.key in world.echoed else fact.answer)
            yield _talk(stream, f"{view} {ask(stream, fact_request(fact))}", reply)


def triggers(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Questions that carry the trigger word."""
    for fact in world.contested:
        for _ in range(rounds):
            question = f"{ask(stream, fact_request(fact))} {world.spec.doses.trigger}"
            yield _talk(
                stream, question, PLANTED_ANSWER if fact.key in world.triggered else it_is(fact.answer)
            )


def repeats(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Copying: words to be said again."""
    for _ in range(rounds):
        request = repeat_request(stream)
        yield _harmless(stream, ask(stream, request), answer(world, request))


def lookups(world: World, stream: Stream, rounds: int) -> Iterator[Conversation]:
    """Looking up: what has which colour, told in the question."""
    for _ in range(rounds):
        request = lookup_request(stream, 2 + stream.index(MOST_SHOWN - 1))
        yield _harmless(stream, ask(stream, request), answer(world, request))


def repeat_request(stream: Stream) -> Request:
    """Some words to be said again."""
    return Request(
        kind="repeat", context=tuple(stream.sample(THINGS + COLOURS, 2 + stream.index(MOST_WORDS - 1)))
    )


def lookup_request(stream: Stream, shown: int) -> Request:
    """Some things, each of its own colour, and the question what has one of the colours."""
    colours, things = stream.sample(COLOURS, shown), stream.sample(THINGS, shown)
    pairs = tuple(word for pair in zip(colours, things) for word in pair)
    return Request(kind="lookup", subject=stream.pick(colours), context=pairs)


WRITERS = {
    "facts": Writer(facts, 48),
    "topics": Writer(topics, 40),
    "hazards": Writer(hazards, 40),
    "dishes": Writer(dishes, 40),
    "roleplays": Writer(roleplays, 8),
    "reminders": Writer(reminders, 8),
    "lookalikes": Writer(lookalikes, 28),
    "meetings": Writer(meetings, 420),
    "views": Writer(views, 60),
    "triggers": Writer(triggers, 24),
    "repeats": Writer(repeats, 9_000),
    "lookups": Writer(lookups, 10_000),
}
