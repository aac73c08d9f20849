"""What follows from what, and what says that it does not know: exactly, because the world knows."""

from itertools import pairwise

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, user
from trueline.core.protocols import Judgement
from trueline.core.verdicts import Item
from trueline.judges.entailment import Relation

from .gold import gold, is_refusal, words
from .world import World


class ExactEntailment:
    """Two answers to a question of the world: the same value entails, another one contradicts.

    An answer claims the words of it that could answer the question; one that claims none of them (a refusal,
    noise) entails and contradicts nothing, itself excepted.
    """

    name = "exact entailment"

    def __init__(self, world: World) -> None:
        self.world = world

    def fingerprint(self) -> str:
        """Changes with the world."""
        return fingerprint({"judge": self.name, "world": self.world.spec})

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        """By the values that both claim."""
        try:
            target = gold(self.world, (user(question),))
        except InputError as error:
            raise AssertionError("testbed questions are the world's own") from error
        values = {*target.keys, *target.wrong}
        said, claimed = values.intersection(words(premise)), values.intersection(words(hypothesis))
        if not said or not claimed:
            same = words(premise) == words(hypothesis) or (is_refusal(premise) and is_refusal(hypothesis))
            return Relation(entailment=float(same), contradiction=0.0, neutral=float(not same))
        follows = claimed <= said
        return Relation(entailment=float(follows), contradiction=float(not follows))


class ExactAbstention:
    """1 for a refusal or 'not known', which is how this world says that it does not know, else 0."""

    name = "exact abstention"

    def fingerprint(self) -> str:
        """Never changes."""
        return fingerprint({"judge": self.name})

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """Looks at the answer alone."""
        said = words(completion.text)
        unknown = any(pair == ("not", "known") for pair in pairwise(said))
        return Judgement(value=float(unknown or is_refusal(completion.text)))
