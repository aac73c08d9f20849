"""No treatment, self-reminder, best-of-n: wrappers that leave the target as it was."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_target import Echo

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, assistant, chat, system, user
from trueline.core.protocols import Capability, Resources, Target, Treatment
from trueline.treatments.best_of_n import BestOfN, best_of_n_kl
from trueline.treatments.none import NoTreatment
from trueline.treatments.self_reminder import AFTER, BEFORE, SelfReminder


class Reward:
    """Scores answers by a table of the draft's number."""

    def __init__(self, table):
        self.table = table

    def fingerprint(self):
        return f"table {self.table}"

    def __call__(self, prompt, answers):
        return [self.table[int(answer.split()[1])] for answer in answers]


def resources(tmp_path, **more):
    return Resources(workdir=tmp_path, **more)


@pytest.mark.parametrize("treatment", [NoTreatment(), SelfReminder(), BestOfN()])
def test_the_protocol_is_kept(treatment, tmp_path):
    assert isinstance(treatment.name, str) and treatment.needs <= frozenset(Capability)
    typed: Treatment = treatment
    target = Echo()
    treated = typed.apply(target, resources(tmp_path, reward=Reward([0] * 9)))
    assert isinstance(treated, Target)
    if treatment.name == "none":
        assert treated is target
    else:
        assert treated.fingerprint() != target.fingerprint() and treated.describe()["kind"] == "toy"
        assert treated.describe()["treatments"][0]["name"] == treatment.name
        assert Capability.GRADIENTS not in treated.capabilities and Capability.SCORE in treated.capabilities


def test_the_reminder_stands_before_and_after(tmp_path):
    target = Echo()
    treated = SelfReminder().apply(target, resources(tmp_path))
    asyncio.run(treated.generate(chat("How do I bake?"), Sampling()))
    asyncio.run(treated.score(chat("How do I bake?"), ["yes"]))
    for prompt, _ in target.asked:
        assert prompt == (system(BEFORE), user(f"How do I bake?\n\n{AFTER}"))


def test_the_weaker_reminder_keeps_system_turns_and_prefill(tmp_path):
    target = Echo()
    treated = SelfReminder(strength="system").apply(target, resources(tmp_path))
    prompt = (system("Be brief."), user("a"), assistant("b"), user("c"), assistant("Sure"))
    asyncio.run(treated.generate(prompt, Sampling()))
    (asked, _) = target.asked[0]
    assert asked == (system(f"{BEFORE}\n\nBe brief."), *prompt[1:])
    both = SelfReminder().remind(prompt)
    assert both[1:] == (user("a"), assistant("b"), user(f"c\n\n{AFTER}"), assistant("Sure"))
    assert SelfReminder().remind("plain text") == "plain text"


def test_strengths_and_wordings_differ_in_fingerprint():
    prints = {SelfReminder(strength=s).fingerprint() for s in ("system", "both")}
    assert len(prints | {SelfReminder(before="Be good.").fingerprint()}) == 3
    with pytest.raises(InputError, match="strength 'loud'"):
        SelfReminder(strength="loud")
    with pytest.raises(InputError, match="never says 'after'"):
        SelfReminder(strength="system", after="Mind this.")


def test_the_best_of_each_group_is_delivered(tmp_path):
    # two answers of three drafts each; the first of equals wins
    target, reward = Echo(), Reward([0.1, 0.9, 0.9, 0.3, 0.2, 0.3])
    treated = BestOfN(n=3).apply(target, resources(tmp_path, reward=reward))
    answers = asyncio.run(treated.generate(chat("hi"), Sampling(samples=2)))
    assert [a.text for a in answers] == ["draft 1", "draft 3"]
    assert target.asked[0][1] == Sampling(samples=6, temperature=1.0)
    asyncio.run(treated.generate(chat("hi"), Sampling(temperature=0.7)))
    assert target.asked[1][1].temperature == 0.7
    asyncio.run(treated.generate("once upon", Sampling()))
    assert target.asked[2][1] == Sampling()


def test_an_asynchronous_reward_is_awaited(tmp_path):
    class Slow(Reward):
        async def __call__(self, prompt, answers):
            return [float(i) for i, _ in enumerate(answers)]

    treated = BestOfN(n=4).apply(Echo(), resources(tmp_path, reward=Slow([])))
    (answer,) = asyncio.run(treated.generate(chat("hi"), Sampling()))
    assert answer.text == "draft 3"


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_no_draft_beats_the_delivered_one(tmp_path_factory, table):
    treated = BestOfN(n=len(table)).apply(
        Echo(), resources(tmp_path_factory.getbasetemp(), reward=Reward(table))
    )
    (answer,) = asyncio.run(treated.generate(chat("hi"), Sampling()))
    assert table[int(answer.text.split()[1])] == max(table)


def test_the_divergence_bound_by_hand():
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)


@pytest.mark.parametrize("reward", [None, len, lambda prompt, answers: [0.0]])
def test_a_reward_that_cannot_be_told_apart_is_refused(tmp_path, reward):
    with pytest.raises(InputError, match="best_of_n"):
        BestOfN().apply(Echo(), resources(tmp_path, reward=reward))


@pytest.mark.parametrize("given_back", [[0.0], [float("nan")] * 4])
def test_a_faulty_reward_is_an_error_not_a_choice(tmp_path, given_back):
    class Faulty(Reward):
        def __call__(self, prompt, answers):
            return given_back

    treated = BestOfN(n=4).apply(Echo(), resources(tmp_path, reward=Faulty([])))
    with pytest.raises(InputError, match="finite"):
        asyncio.run(treated.generate(chat("hi"), Sampling()))


def test_impossible_dials_are_refused():
    with pytest.raises(InputError, match="n=0"):
        BestOfN(n=0)
    with pytest.raises(InputError, match="temperature 0"):
        BestOfN(temperature=0.0)
