"""Models of inspect-ai as targets: answers, log-probabilities where given, and faults that never become scores."""

import asyncio
from pathlib import Path

import pytest

from trueline.core.errors import InputError, NotMeasurableError, UnfinishedError
from trueline.core.messages import Sampling, assistant, chat, user
from trueline.core.protocols import Capability
from trueline.models.inspect_model import InspectTarget, open_inspect, read_output

pytest.importorskip("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    """mockllm counts tokens with tiktoken's vocabulary, which is fetched from a network; here every text has three."""
    from inspect_ai.model._providers.mockllm import MockLLM

    async def three(self, text):
        return 3

    monkeypatch.setattr(MockLLM, "count_text_tokens", three)


def mocked(*outputs):
    """A target of inspect's mockllm that gives these outputs, or raises them, in turn."""
    from inspect_ai.model import get_model

    waiting = iter(outputs)

    def next_output(messages, tools, tool_choice, config):
        target.asked.append((messages, config))
        output = next(waiting)
        if isinstance(output, Exception):
            raise output
        return output

    target = InspectTarget("inspect:mockllm/model")
    target.asked = []
    target.model = get_model("mockllm/model", custom_outputs=next_output, memoize=False)
    return target


def said(text, **fields):
    from inspect_ai.model import ModelOutput

    return ModelOutput.from_content("mockllm", text, **fields)


def ask(target, **sampling):
    return asyncio.run(target.generate(chat("Hi"), Sampling(**sampling)))


def test_it_is_opened_probed_and_asked_in_any_loop():
    target = open_inspect("inspect:mockllm/model", system_prompt="Be brief.")
    assert target.capabilities == {Capability.GENERATE}
    for _ in range(2):  # a loop each
        (answer,) = ask(target)
        assert (answer.text, answer.outcome) == ("Default output from mockllm/model", "answered")
    assert target.describe()["log-probabilities"] is False and target.describe()["kind"] == "inspect"
    other = open_inspect("inspect:mockllm/model", epoch="another study")
    assert other.fingerprint() != open_inspect("inspect:mockllm/model").fingerprint()


def test_settings_pass_through_and_every_sample_has_its_seed():
    target = mocked(*(said(text) for text in "ab"))
    answers = asyncio.run(
        target.generate(
            (user("Hi"), assistant("Yes?"), user("Go on")), Sampling(samples=2, temperature=0.5, stop=(".",))
        )
    )
    assert sorted(answer.text for answer in answers) == ["a", "b"]
    (messages, first), (_, second) = target.asked
    assert [message.role for message in messages] == ["user", "assistant", "user"]
    assert (first.temperature, first.max_tokens, first.stop_seqs) == (0.5, 64, ["."])
    assert first.seed != second.seed


def test_outcomes_and_log_probabilities_are_the_providers():
    from inspect_ai.model import Logprob, Logprobs, ModelUsage

    output = said("yes")
    output.choices[0].logprobs = Logprobs(content=[Logprob(token="yes", logprob=-0.25)])
    output.usage = ModelUsage(input_tokens=3, output_tokens=1, total_tokens=4)
    (answer,) = ask(mocked(output))
    assert (answer.logprobs, answer.prompt_tokens, answer.tokens, answer.model) == ((-0.25,), 3, 1, "mockllm")
    for reason, outcome in (("content_filter", "provider-filtered"), ("max_tokens", "truncated")):
        assert ask(mocked(said("x", stop_reason=reason)))[0].outcome == outcome
    unsaid = said("a b c", stop_reason="unknown")
    unsaid.usage = ModelUsage(output_tokens=3)
    assert read_output(unsaid, Sampling(max_tokens=3), "m").outcome == "truncated"
    assert read_output(unsaid, Sampling(max_tokens=4), "m").outcome == "answered"


def test_faults_are_no_answers():
    from inspect_ai.model import ModelOutput

    with pytest.raises(UnfinishedError, match="RuntimeError: connection reset; run again"):
        ask(mocked(RuntimeError("connection reset")))
    with pytest.raises(UnfinishedError, match="no choices"):
        ask(mocked(ModelOutput(model="mockllm")))
    with pytest.raises(UnfinishedError, match="called a tool"):
        ask(mocked(ModelOutput.for_tool_call("mockllm", "search", {})))
    target = mocked()
    with pytest.raises(NotMeasurableError, match="conversations only"):
        asyncio.run(target.generate("raw", Sampling()))
    with pytest.raises(NotMeasurableError, match="prefilled"):
        asyncio.run(target.generate((user("Hi"), assistant("Sure")), Sampling()))
    with pytest.raises(NotMeasurableError, match="no log-probabilities of given texts"):
        asyncio.run(target.score("x", ["y"]))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("inspect:mockllm", "write inspect:PROVIDER/NAME"),
        ("inspect:nobody/model", "cannot set up 'nobody/model': ValueError: Model API nobody"),
        ("inspect:mockllm/model?a", "write NAME=VALUE"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(spec, words):
    with pytest.raises(InputError) as raised:
        open_inspect(spec)
    assert words in str(raised.value)


def test_a_study_measures_it_and_leaves_out_what_it_cannot(tmp_path: Path):
    from trueline.studies.plan import make_plan
    from trueline.studies.results import read_results
    from trueline.studies.run import run_study
    from trueline.studies.spec import parse_spec

    data = tmp_path / "own.jsonl"
    data.write_text('{"q": "What are you?", "a": "mockllm/model"}\n{"q": "Who?", "a": "nobody"}\n')
    own = tmp_path / "own.yaml"
    own.write_text(
        "{name: own, data: own.jsonl, kind: contained_answer, columns: {prompt: q, answer: a}, caution: A test.}"
    )
    spec = {"targets": ["inspect:mockllm/model"], "measures": [str(own)]}
    assert run_study(make_plan(parse_spec(spec)), tmp_path / "run").made == 2
    (cell,) = read_results(tmp_path / "run").cells
    assert cell.headline.estimate.value == 0.5
    with pytest.raises(InputError, match="takes no endpoint option 'retries'"):
        make_plan(
            parse_spec({**spec, "targets": [{"model": "inspect:mockllm/model", "endpoint": {"retries": 1}}]})
        )


@pytest.mark.slow
def test_inspects_own_hf_provider(tmp_path: Path):
    from trueline.models.local import LocalTarget
    from trueline.testbed import embedded

    folder = embedded.folder(embedded.DEFAULT_SIZE)
    target = open_inspect(f"inspect:hf/{folder}?do_sample=false&device=cpu")
    (theirs,) = asyncio.run(target.generate(chat("Say the words blue green."), Sampling(max_tokens=8)))
    ours = LocalTarget.from_pretrained(str(folder), dtype="float32")
    (mine,) = asyncio.run(ours.generate(chat("Say the words blue green."), Sampling(max_tokens=8)))
    assert theirs.text.strip() == mine.text.strip() != ""
    assert target.describe()["log-probabilities"] is True
    assert theirs.logprobs[: mine.tokens] == pytest.approx(mine.logprobs, abs=1e-3)
