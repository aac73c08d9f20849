"""A fine-tune that rehearses the model's own earlier answers (Huang et al. 2024, arXiv 2403.01244; Robins 1995).

Before the fine-tune the target answers some prompts itself, greedily; these answers are mixed into the user's
demonstrations, so that what it did is learnt again beside what is new. No labels are needed, and nothing becomes
safer than it was. Example: the aligned model's own "I'm sorry, but I can't help with that."
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Sampling
from trueline.core.protocols import Target
from trueline.data.preferences import Demonstration, prompt_of
from trueline.training.budget import Spent

from .critic import usable
from .drawing import drawing_flops
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

    def examples(
        self, chosen: Sequence[Demonstration], target: Target
    ) -> tuple[Sequence[Demonstration], Spent]:
        """The target's greedy answers, and what drawing them took."""
        from .copies import local

        async def answers() -> list[Completion]:
            asked = Sampling(max_tokens=self.answer_tokens)
            said = await asyncio.gather(*(target.generate(prompt, asked) for prompt in prompts))
            return [one for (one,) in said]

        prompts = [prompt_of(shown, index) for index, shown in enumerate(chosen)]
        started = time.perf_counter()
        drawn = wait_for(answers())
        seconds = time.perf_counter() - started
        told = [
            Demonstration(prompt=prompt, answer=said.text.strip())
            for prompt, said in zip(prompts, drawn)
            if not usable(said)
        ]
        if not told:
            raise InputError(
                f"replay got no whole answer to {len(chosen)} prompts: raise answer_tokens {self.answer_tokens}."
            )
        flops = drawing_flops(local(target, self.name), [(said.prompt_tokens, said.tokens) for said in drawn])
        return told, Spent(flops=flops, seconds=seconds)
