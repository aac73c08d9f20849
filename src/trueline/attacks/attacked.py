"""A target seen through an attack: what is asked of it is asked by the attack."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.errors import NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Attack, Budget, Capability, Target


class AttackedTarget:
    """``generate`` runs the attack within its budget and returns every attempt, the first one first.

    It can only generate: an option's likelihood has no meaning under an attack that makes several attempts,
    so asking for one is refused rather than answered by the bare target.
    """

    def __init__(self, *, target: Target, attack: Attack, budget: Budget) -> None:
        lacking = sorted(attack.needs - target.capabilities)
        if lacking:
            raise NotMeasurableError(
                f"attack {attack.name!r} needs {' and '.join(lacking)}, which {target.name} lacks."
            )
        self.target = target
        self.attack = attack
        self.budget = budget

    @property
    def name(self) -> str:
        """The target and the attack."""
        return f"{self.target.name} under {self.attack.name}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Generation only."""
        return self.target.capabilities & {Capability.GENERATE}

    def fingerprint(self) -> str:
        """Changes with the target, the attack and the budget."""
        return fingerprint(
            {"target": self.target.fingerprint(), "attack": self.attack.fingerprint(), "budget": self.budget}
        )

    def describe(self) -> Mapping[str, Any]:
        """The target's provenance, and the attack's name and budget."""
        budget = {"queries": self.budget.queries, "seconds": self.budget.seconds, "flops": self.budget.flops}
        return {**self.target.describe(), "attack": self.attack.name, "attack_budget": budget}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """All attempts of the attack at this prompt."""
        return await self.attack.attempts(self.target, prompt, sampling, self.budget)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Refused: see the class."""
        raise NotMeasurableError(f"{self.name} gives no log-probabilities: an attack only asks for answers.")
