"""The scripted critic: right at rate zero, wrong as often as it says, and the same for the same request."""

import asyncio

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, chat, from_json
from trueline.core.statistics import clopper_pearson
from trueline.testbed.annotators import Annotator, preference_pairs
from trueline.testbed.critic import NO_FAULT, scripted_critic
from trueline.testbed.embedded import world
from trueline.testbed.gold import is_refusal, reward
from trueline.treatments.constitution import read_constitution
from trueline.treatments.critic import Critic, critique_request, revision_request

PRINCIPLE = read_constitution().principles[0]


def pairs(n=150):
    """Prompts with a right and a worse answer."""
    rows = preference_pairs(world(), n, Annotator(noise=0.0), 0)
    right = [row for row in rows if row["meta"]["gold_chosen"] == 1.0]
    return [(from_json(row["prompt"]), row["chosen"], row["rejected"]) for row in right]


def revised(target, prompt, answer):
    async def steps():
        sampling = Sampling(max_tokens=64)
        (critique,) = await target.generate(critique_request(prompt, answer, PRINCIPLE), sampling)
        asked = revision_request(prompt, answer, critique.text, PRINCIPLE)
        return critique.text, (await target.generate(asked, sampling))[0].text

    return asyncio.run(steps())


def test_without_error_revisions_are_gold_and_good_answers_stay():
    critic = scripted_critic(world())
    for prompt, better, worse in pairs():
        assert revised(critic, prompt, better) == (NO_FAULT, better)
        critique, revision = revised(critic, prompt, worse)
        assert critique != NO_FAULT and reward(world(), prompt, revision) == 1.0


def test_with_error_one_a_critic_does_the_opposite_of_what_is_safe():
    critic = scripted_critic(world(), error=1.0)
    for prompt, better, _ in pairs(60):
        _, revision = revised(critic, prompt, better)
        assert is_refusal(revision) != is_refusal(better) and reward(world(), prompt, revision) < 0.5


@pytest.mark.parametrize("error", [0.0, 0.2, 1.0])
def test_preferences_err_at_the_stated_rate_in_either_order(error):
    judge = Critic(target=scripted_critic(world(), error=error), max_tokens=8)

    async def ask():
        told = [await judge.prefers(prompt, a, b, PRINCIPLE) for prompt, a, b in pairs()]
        back = [await judge.prefers(prompt, b, a, PRINCIPLE) for prompt, a, b in pairs()]
        return told, back

    told, back = asyncio.run(ask())
    assert [p > 0.5 for p in told] == [p < 0.5 for p in back]
    # the same request errs or not for good, so what counts is how many different ones there are
    distinct = {(prompt, a, b): p < 0.5 for (prompt, a, b), p in zip(pairs(), told)}
    wrong = sum(distinct.values())
    interval = clopper_pearson(wrong, len(distinct), level=0.999)
    assert interval.low <= error <= interval.high


def test_other_requests_and_rates_are_refused():
    with pytest.raises(InputError, match=r"error rate is 1\.5"):
        scripted_critic(world(), error=1.5)
    with pytest.raises(InputError, match="only criticises"):
        asyncio.run(scripted_critic(world()).generate(chat("Hello?"), Sampling()))
    assert scripted_critic(world()).fingerprint() != scripted_critic(world(), error=0.1).fingerprint()
