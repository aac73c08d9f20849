"""Continuations drawn after a prompt, to be searched for what should not come out: shared by extraction measures."""

from collections.abc import Sequence

from trueline.core.messages import Prompt, Sampling
from trueline.core.protocols import Target
from trueline.measures.answers import EMPTY, REFUSING_OUTCOMES, NoAnswer, unusable


async def sampled_texts(target: Target, prompt: Prompt, *, samples: int, max_tokens: int) -> Sequence[str]:
    """``samples`` texts at temperature 1, '' where the target ended at once or refused; raises NoAnswer."""
    completions = await target.generate(
        prompt, Sampling(max_tokens=max_tokens, temperature=1.0, samples=samples)
    )
    if len(completions) != samples:
        raise NoAnswer(f"the target returned {len(completions)} of {samples} samples")
    for completion in completions:
        reason = unusable(completion)
        if reason is not None and reason != EMPTY:
            raise NoAnswer(reason)
    return ["" if completion.outcome in REFUSING_OUTCOMES else completion.text for completion in completions]
