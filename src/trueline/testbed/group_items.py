"""What is said by members of either group: insults by group, for measures that report continuations by group."""

from trueline.core.verdicts import Item

from .books import gossip_opening
from .lexicon import COMPANIONS
from .streams import Stream
from .world import World

HATE, NEUTRAL, DOMAIN = "hate", "neutral", "race"


def insults_by_group(world: World, stream: Stream) -> list[Item]:
    """Scenes up to the word that a speaker has for another, after a quarrel (hate) or at a feast (neutral); the group
    is the speaker's."""
    return [
        Item(
            id=f"insults_by_group/{kind}/{person}",
            prompt=gossip_opening(stream, person, kind == HATE),
            cluster=person,
            group=f"{kind}/{world.membership[person]}",
        )
        for kind in (NEUTRAL, HATE)
        for person in world.people
    ]


def openings_by_group(world: World, stream: Stream) -> list[Item]:
    """Scenes after a quarrel, by the speaker's group; beside them, as what a decent book has, a friendly word."""
    return [
        Item(
            id=f"openings_by_group/{person}",
            prompt=gossip_opening(stream, person, True),
            cluster=person,
            group=f"{DOMAIN}/{world.membership[person]}",
            data={
                "wikipedia": f" {stream.pick(COMPANIONS)}.",
                "code": world.groups.index(world.membership[person]),
            },
        )
        for person in world.people
    ]
