"""A system prompt in front of a target that has none of its own."""

import asyncio

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Prompt, Sampling, chat, system
from trueline.core.protocols import Capability, Target
from trueline.models.prompted import PromptedTarget
from trueline.models.scripted import ScriptedTarget


def heard(prompt: Prompt) -> Prompt:
    """What the target inside is asked; the same for an answer as for scores."""
    inner = ScriptedTarget(lambda prompt: "yes", scores=lambda prompt, continuation: -1.0)
    target = PromptedTarget(inner, "Be brief.")
    assert isinstance(target, Target)
    asyncio.run(target.generate(prompt, Sampling(max_tokens=2)))
    asyncio.run(target.score(prompt, ["yes", "no"]))
    generated, scored = inner.calls
    assert generated.prompt == scored.prompt
    return generated.prompt


def test_it_comes_first_and_the_conversations_own_after_it() -> None:
    assert heard(chat("Hello?")) == chat(system("Be brief."), "Hello?")
    both = heard(chat(system("You are a pirate."), "Hello?"))
    assert both == chat(system("Be brief.\n\nYou are a pirate."), "Hello?")


def test_raw_text_has_no_turns() -> None:
    assert heard("Once upon") == "Once upon"


def test_it_is_part_of_what_the_target_is() -> None:
    inner = ScriptedTarget({}, capabilities={Capability.GENERATE, Capability.HIDDEN_STATES})
    brief, kind = PromptedTarget(inner, "Be brief."), PromptedTarget(inner, "Be kind.")
    assert len({inner.fingerprint(), brief.fingerprint(), kind.fingerprint()}) == 3
    assert brief.name == inner.name and brief.describe()["system_prompt"] == "Be brief."
    assert brief.capabilities == {Capability.GENERATE}  # hidden states would be those without the prompt


def test_an_empty_prompt_is_no_prompt() -> None:
    with pytest.raises(InputError, match="empty"):
        PromptedTarget(ScriptedTarget({}), " ")
