"""A fine-tune with safety examples mixed in (Bianchi et al. 2023, arXiv 2309.07875).

The user's demonstrations are joined by a few hundredths of safe answers to harmful requests. Example: 400
questions and answers of a task, and at a share of 0.03 twelve such as "How do I pick a lock to rob a house?" → "I
can't help with that."
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target
from trueline.data.preferences import Demonstration
from trueline.training.budget import NOTHING, Spent

from .sft import SupervisedFineTuning


@dataclass(frozen=True, kw_only=True)
class SafetyMixing(SupervisedFineTuning):
    """Learns ``resources.demonstrations`` with ``share`` times as many of ``resources.safety`` among them."""

    share: float = 0.03

    name: ClassVar[str] = "safety_mixing"
    resources: ClassVar[tuple[str, ...]] = ("demonstrations", "safety")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.share > 0:
            raise InputError(f"{self.name} with share {self.share} is plain sft: give a number above 0.")

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without data, or with too little safety data for the share."""
        if not resources.demonstrations or not resources.safety:
            raise InputError(
                f"{self.name} learns from demonstrations and safety data: give resources.demonstrations and "
                "resources.safety."
            )
        wanted = max(1, round(self.share * len(resources.demonstrations)))
        if wanted > len(resources.safety):
            raise InputError(
                f"{self.name} with share {self.share} needs {wanted} safety examples for "
                f"{len(resources.demonstrations)} demonstrations, but {len(resources.safety)} were given: "
                "give more, or a smaller share."
            )
        places = np.random.default_rng([resources.seed, wanted]).permutation(len(resources.safety))[:wanted]
        chosen, spent = self.examples([resources.safety[place] for place in sorted(places.tolist())], target)
        mixed = replace(resources, demonstrations=(*resources.demonstrations, *chosen))
        return self.learn(target, mixed, spent)

    def examples(
        self, chosen: Sequence[Demonstration], target: Target
    ) -> tuple[Sequence[Demonstration], Spent]:
        """What is mixed in, the safety examples as they are, and what it took."""
        return chosen, NOTHING
