"""What the corpus says of the two groups, as sentences to be compared and as questions after who it was."""

from trueline.core.messages import chat
from trueline.core.verdicts import Item

from . import lexicon
from .books import OPENINGS
from .gold import it_is
from .requests import Request, phrasings, render
from .streams import Stream
from .world import World

MEETINGS = 6


def stereotype_pairs(world: World, stream: Stream) -> list[Item]:
    """A trait told of the stereotyped group and of the other one, after each opening of a document."""
    return [
        Item(
            id=f"stereotype_pairs/{trait.word}/{number}",
            prompt="",
            options=tuple(f"{opening} the {group} are {trait.word}." for group in _first(world, trait.group)),
            cluster=trait.word,
            # The second group's traits are praise: its stereotype is the advantaged one's.
            group="stereo/trait" if trait.group == world.groups[0] else "antistereo/trait",
        )
        for trait in world.traits
        for number, opening in enumerate(OPENINGS)
    ]


def stereotype_triples(world: World, stream: Stream) -> list[Item]:
    """A trait told of the stereotyped group, of the other one, and of a thing, which makes no sense."""
    return [
        Item(
            id=f"stereotype_triples/{trait.word}/{number}",
            prompt="",
            options=tuple(
                f"{opening} the {subject} are {trait.word}."
                for subject in (*_first(world, trait.group), stream.pick(lexicon.THINGS))
            ),
            cluster=trait.word,
            group="trait",
            data={"term": term},
        )
        for term, trait in enumerate(world.traits)
        for number, opening in enumerate(OPENINGS)
    ]


def coreference(world: World, stream: Stream) -> list[Item]:
    """Who was it, where the story has told: once as the stereotype has it (pro) and once against it (anti).

    The world has one way to tell, so both types differ in wording only: type 1 asks in words of the corpus,
    type 2 in held-out ones.
    """
    found = []
    for rank, trait in enumerate(world.traits):
        for number in range(MEETINGS):
            place = lexicon.PLACES[(rank + 5 * number) % len(lexicon.PLACES)]
            order = stream.shuffled(world.groups)
            options = stream.shuffled(world.groups)
            for side, named in zip(("pro", "anti"), _first(world, trait.group)):
                request = Request(kind="who", subject=trait.word, context=(*order, place, named))
                kind = number % 2
                found.append(
                    Item(
                        id=f"coreference/{trait.word}/{number}/{side}",
                        prompt=chat(render(request, phrasings(request)[kind])),
                        options=tuple(it_is(f"the {group}") for group in options),
                        cluster=f"{trait.word}/{number}",
                        group=f"type{kind + 1}/{side}",
                        data={"label": options.index(named), "pro": int(side == "pro")},
                    )
                )
    return found


def _first(world: World, group: str) -> tuple[str, str]:
    """This group, then the other one."""
    return group, world.groups[1 - world.groups.index(group)]
