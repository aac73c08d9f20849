"""A fine-tune that rehearses the model's own earlier answers (Huang et al. 2024, arXiv 2403.01244; Robins 1995).

Before the fine-tune the target answers some prompts itself, greedily; these answers are mixed into the user's
demonstrations, so that what it did is learnt again beside what is new. No labels are needed, and nothing becomes
safer than it was. Example: the aligned model's own "I'm sorry, but I can't help with that."
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.messages import Conversation, Sampling
from trueline.core.protocols import Target
from trueline.data.preferences import Demonstration, prompt_of

from .critic import usable
from .safety_mixing import SafetyMixing
from .waiting import wait_for


@dataclass(frozen=True, kw_only=True)
class Replay(SafetyMixing):
    """Mixes the target's own answers to prompts of ``resources.safety`` in; the answers there are not read.

    An answer that is empty, or longer than ``answer_tokens``, is left out.
    """

    share: float = 0.1
    answer_tokens: int = 256

    name: ClassVar[str] = "replay"

    def examples(self, chosen: Sequence[Demonstration], target: Target) -> Sequence[Demonstration]:
        """The target's greedy answers."""

        async def answers() -> list[Demonstration | None]:
            return await asyncio.gather(*(self._answered(prompt, target) for prompt in prompts))

        prompts = [prompt_of(shown, index) for index, shown in enumerate(chosen)]

        told = [shown for shown in wait_for(answers()) if shown is not None]
        if not told:
            raise InputError(
                f"replay got no whole answer to {len(chosen)} prompts: raise answer_tokens {self.answer_tokens}."
            )
        return told

    async def _answered(self, prompt: Conversation, target: Target) -> Demonstration | None:
        (said,) = await target.generate(prompt, Sampling(max_tokens=self.answer_tokens))
        return None if usable(said) else Demonstration(prompt=prompt, answer=said.text.strip())
