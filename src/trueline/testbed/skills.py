"""Questions of a skill with their gold answers, never twice the same, to be learnt from another model's labels."""

from collections.abc import Callable, Iterator, Mapping

from trueline.core.errors import unknown_name
from trueline.core.messages import Conversation, Prompt
from trueline.data.preferences import Demonstration

from .chats import lookups, repeats
from .gold import gold, is_correct
from .streams import Stream
from .world import World

SKILLS: Mapping[str, Callable[[World, Stream, int], Iterator[Conversation]]] = {
    "lookups": lookups,
    "repeats": repeats,
}


def skill_questions(world: World, skill: str, n: int, seed: int) -> list[Demonstration]:
    """``n`` different questions with their gold answers."""
    if skill not in SKILLS:
        raise unknown_name("skill", skill, SKILLS)
    found: dict[Conversation, Demonstration] = {}
    for conversation in SKILLS[skill](world, Stream(world.spec.seed, "skill", skill, seed), 4 * n):
        prompt = conversation[:-1]
        found.setdefault(prompt, Demonstration(prompt=prompt, answer=gold(world, prompt).answer))
        if len(found) == n:
            break
    return list(found.values())


def is_right(world: World) -> Callable[[Prompt, str, str], bool]:
    """Whether an answer is right, by the world."""
    return lambda prompt, answer, text: is_correct(gold(world, prompt), text)
