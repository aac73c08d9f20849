"""Asking a model for a verdict: one greedy answer, read strictly; a failure of any kind is no verdict."""

from collections.abc import Callable

from trueline.core.errors import NotMeasurableError
from trueline.core.messages import Completion, Prompt, Sampling
from trueline.core.protocols import Capability, Judgement, Target

SHOWN = 60  # characters of an unreadable reply that the reason quotes


def check_answers(target: Target, judge: str) -> None:
    """Raises NotMeasurableError for a target that generates nothing."""
    if Capability.GENERATE not in target.capabilities:
        raise NotMeasurableError(f"{target.name} gives no answers, so it cannot be the model of {judge}.")


async def asked(
    target: Target, prompt: Prompt, *, max_tokens: int, parse: Callable[[str], float | None]
) -> Judgement:
    """The value that ``parse`` reads in the model's reply; None where it reads nothing, or there is no whole reply."""
    try:
        replies = await target.generate(prompt, Sampling(max_tokens=max_tokens))
    except NotMeasurableError as error:
        return Judgement(value=None, reason=f"the judge model could not be asked: {error}")
    if not replies:
        return Judgement(value=None, reason="the judge model gave no reply")
    reply: Completion = replies[0]
    value = None if reply.outcome in ("guard-blocked", "provider-filtered") else parse(reply.text)
    if value is not None:
        return Judgement(value=value)
    start = " ".join(reply.text.split())[:SHOWN]
    return Judgement(
        value=None, reason=f"the judge model's reply ({reply.outcome}) cannot be read: {start!r}"
    )
