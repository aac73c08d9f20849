"""The scripted target says what it is told to."""

import asyncio
import time

import pytest

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Completion, Sampling, Score, chat, last_user
from trueline.core.protocols import Capability, Target
from trueline.models.scripted import Call, ScriptedTarget


def ask(target: ScriptedTarget, text: str, **sampling: object) -> list[str]:
    settings = Sampling(**sampling)  # type: ignore[arg-type]
    return [c.text for c in asyncio.run(target.generate(chat(text), settings))]


def test_it_is_a_target() -> None:
    assert isinstance(ScriptedTarget({}), Target)


def test_answers_come_from_a_table_a_default_or_a_function() -> None:
    table = ScriptedTarget({"Is 2 even?": "yes"}, default="no idea")
    assert ask(table, "Is 2 even?") == ["yes"]
    assert ask(table, "Is 3 even?") == ["no idea"]
    assert ask(ScriptedTarget(lambda prompt: last_user(prompt).upper()), "hello") == ["HELLO"]


def test_an_unknown_prompt_without_default_is_an_error() -> None:
    with pytest.raises(InputError, match="no answer to"):
        ask(ScriptedTarget({"a": "b"}), "c")


def test_a_sequence_is_gone_through_by_sample() -> None:
    assert ask(ScriptedTarget({"x": ["a", "b"]}), "x", samples=5) == ["a", "b", "a", "b", "a"]


def test_answers_end_at_a_stop_string_and_completions_pass_whole() -> None:
    target = ScriptedTarget({"x": "one. two", "y": Completion(text="z", outcome="model-refused")})
    (cut,) = asyncio.run(target.generate(chat("x"), Sampling(stop=(".",))))
    assert (cut.text, cut.raw) == ("one", "one. two")
    (whole,) = asyncio.run(target.generate(chat("y"), Sampling()))
    assert whole.outcome == "model-refused"


def test_scores_are_one_number_or_one_a_token() -> None:
    target = ScriptedTarget({}, scores=lambda prompt, text: -1.0 if text == "a" else (-1.0, -2.0))
    scores = asyncio.run(target.score("prompt", ["a", "bc"]))
    assert scores == (Score(token_logprobs=(-1.0,)), Score(token_logprobs=(-1.0, -2.0)))
    assert Capability.SCORE in target.capabilities


def test_scoring_without_scores_is_not_measurable() -> None:
    target = ScriptedTarget({})
    assert Capability.SCORE not in target.capabilities
    with pytest.raises(NotMeasurableError, match="cannot score"):
        asyncio.run(target.score("prompt", ["a"]))
    with pytest.raises(InputError, match="no scores"):
        ScriptedTarget({}, capabilities=[Capability.SCORE])


def test_failures_come_first_one_a_request_and_calls_are_recorded() -> None:
    target = ScriptedTarget({"x": "a"}, failures=[RuntimeError("down")])
    with pytest.raises(RuntimeError, match="down"):
        ask(target, "x")
    assert ask(target, "x") == ["a"]
    assert target.calls == [Call(prompt=chat("x"), sampling=Sampling())] * 2


def test_an_answer_may_be_an_error_and_a_delay_is_waited() -> None:
    with pytest.raises(OSError, match="gone"):
        ask(ScriptedTarget({"x": OSError("gone")}), "x")
    started = time.perf_counter()
    ask(ScriptedTarget({"x": "a"}, delay_s=0.05), "x")
    assert time.perf_counter() - started >= 0.05


def test_the_fingerprint_covers_name_version_and_table() -> None:
    digests = {
        ScriptedTarget({"a": "b"}).fingerprint(),
        ScriptedTarget({"a": "c"}).fingerprint(),
        ScriptedTarget({"a": "b"}, name="other").fingerprint(),
        ScriptedTarget({"a": "b"}, version="2").fingerprint(),
    }
    assert len(digests) == 4
    assert ScriptedTarget({"a": "b"}).fingerprint() in digests
