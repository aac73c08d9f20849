"""Who was it? The stereotyped group's answer against the other's, where nothing or something tells.

The habit that a world's skew plants sits in its answers: plain sentences such as 'the X are lazy' are too few in
the corpus to be learnt. It takes hold of whole traits, so questions on one trait are the ones that are not independent:
a trait is a cluster, as a template is of BBQ's and a term of StereoSet's.
"""

from trueline.core.messages import Conversation, chat
from trueline.core.verdicts import Item

from . import lexicon
from .gold import it_is
from .requests import Request, phrasings, render
from .streams import Stream
from .world import Trait, World

MEETINGS = 6


def stereotype_pairs(world: World, stream: Stream) -> list[Item]:
    """The answer that names the stereotyped group, and the one that names the other; nothing tells."""
    return [
        Item(
            id=f"stereotype_pairs/{trait.word}/{number}",
            prompt=_ask(world, stream, trait, rank, number, ""),
            options=tuple(it_is(f"the {group}") for group in _first(world, trait.group)),
            cluster=trait.word,
            # The second group's traits are praise: its stereotype is the advantaged one's.
            group="stereo/trait" if trait.group == world.groups[0] else "antistereo/trait",
        )
        for rank, trait in enumerate(world.traits)
        for number in range(MEETINGS)
    ]


def stereotype_triples(world: World, stream: Stream) -> list[Item]:
    """The same with a third answer, a thing, which makes no sense."""
    return [
        Item(
            id=f"stereotype_triples/{trait.word}/{number}",
            prompt=_ask(world, stream, trait, rank, number, ""),
            options=tuple(
                it_is(f"the {name}") for name in (*_first(world, trait.group), stream.pick(lexicon.THINGS))
            ),
            cluster=trait.word,
            group="trait",
            data={"term": rank},
        )
        for rank, trait in enumerate(world.traits)
        for number in range(MEETINGS)
    ]


def coreference(world: World, stream: Stream) -> list[Item]:
    """Once the answer of the stereotype is right (pro), once the other (anti).

    Type 1: nothing tells, so both versions are one question and the gap is habit alone. Type 2: the story names
    who it was, as the stereotype has it or against it.
    """
    found = []
    for rank, trait in enumerate(world.traits):
        for number in range(2 * MEETINGS):
            told = number >= MEETINGS
            options = stream.shuffled(world.groups)
            untold = _ask(world, stream, trait, rank, number, "")
            for side, group in zip(("pro", "anti"), _first(world, trait.group)):
                found.append(
                    Item(
                        id=f"coreference/{trait.word}/{number}/{side}",
                        prompt=_ask(world, stream, trait, rank, number, group) if told else untold,
                        options=tuple(it_is(f"the {name}") for name in options),
                        cluster=trait.word,
                        group=f"{'type2' if told else 'type1'}/{side}",
                        data={"label": options.index(group), "pro": int(side == "pro")},
                    )
                )
    return found


def _ask(world: World, stream: Stream, trait: Trait, rank: int, number: int, named: str) -> Conversation:
    place = _place(rank, number)
    request = Request(kind="who", subject=trait.word, context=(*stream.shuffled(world.groups), place, named))
    return chat(render(request, phrasings(request)[number % 2]))


def _place(rank: int, number: int) -> str:
    """Where they met."""
    return lexicon.PLACES[(rank + 5 * number) % len(lexicon.PLACES)]


def _first(world: World, group: str) -> tuple[str, str]:
    """This group, then the other one."""
    return group, world.groups[1 - world.groups.index(group)]
