"""inspect-ai through a Trueline target: found by its entry point, asked by its own tasks."""

import asyncio
import gc
import tomllib
from pathlib import Path

import pytest

from measures.support import ScriptedTarget
from trueline.core.errors import InputError
from trueline.core.messages import Completion, Sampling, assistant, chat, system, user
from trueline.interop.treated import treated_target

pytest.importorskip("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
ASKED = ("Say the words blue green.", "Say the words rope chair.", "Say the words kettle feather.")


@pytest.fixture(autouse=True)
def inspects_own_garbage():
    """inspect-ai leaves streams open that warn when they are collected; here, not in a later test of this worker."""
    yield
    gc.collect()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The entry points of pyproject.toml, as an installer writes them."""
    from inspect_ai._util import entrypoints

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["inspect_ai"]
    info = tmp_path / "site" / "trueline_again-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trueline-again\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(
        "[inspect_ai]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
    )
    monkeypatch.syspath_prepend(str(info.parent))
    entrypoints.clear_entry_points_state()


def test_a_task_of_inspects_runs_on_a_treated_target(installed, tmp_path):
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    samples = [Sample(input=text, target=" ".join(text.rstrip(".").split()[-2:])) for text in ASKED]
    task = Task(dataset=samples, solver=generate(), scorer=includes(), name="echo")
    for address in ("testbed", "testbed?treatment=self_reminder"):
        (log,) = eval(
            task,
            model=f"trueline/{address}",
            log_dir=str(tmp_path),
            display="none",
            max_tokens=8,
            log_format="json",
        )
        assert log.status == "success", log.error
        ours = treated_target(address)
        said = [asyncio.run(ours.generate(chat(text), Sampling(max_tokens=8)))[0] for text in ASKED]
        assert [sample.output.completion for sample in log.samples] == [answer.text for answer in said]
        assert {s.output.metadata["fingerprint"] for s in log.samples} == {ours.fingerprint()}
        right = sum(str(s.target) in a.text for s, a in zip(samples, said)) / len(said)
        assert log.results.scores[0].metrics["accuracy"].value == right
    assert log.stats.model_usage["trueline/testbed?treatment=self_reminder"].output_tokens == sum(
        a.tokens for a in said
    )


def provider(target, monkeypatch):
    from trueline.interop import inspect_provider

    monkeypatch.setattr(inspect_provider, "treated_target", lambda name, options: target)
    return inspect_provider.TruelineAPI("scripted")


def asked(api, messages, **config):
    from inspect_ai.model import GenerateConfig

    return asyncio.run(api.generate(messages, config.pop("tools", []), "none", GenerateConfig(**config)))


def test_turns_settings_and_outcomes_pass_both_ways(monkeypatch):
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    blocked = Completion(text="no", outcome="guard-blocked", prompt_tokens=7, tokens=2)
    target = ScriptedTarget(lambda prompt, sampling: ["yes", blocked])
    api = provider(target, monkeypatch)
    turns = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content="Hi"),
        ChatMessageAssistant(content="Well"),
    ]
    output = asked(
        api, turns, temperature=0.7, top_p=0.9, num_choices=2, stop_seqs=["."], seed=5, max_tokens=9
    )
    assert target.asked == [
        (
            (system("Be brief."), user("Hi"), assistant("Well")),
            Sampling(max_tokens=9, temperature=0.7, top_p=0.9, samples=2, seed=5, stop=(".",)),
        )
    ]
    assert [(c.message.text, c.stop_reason) for c in output.choices] == [
        ("yes", "stop"),
        ("no", "content_filter"),
    ]
    assert output.usage.output_tokens == 3 and output.metadata["outcomes"] == ["answered", "guard-blocked"]
    asked(api, turns[:2])
    assert target.asked[-1][1] == Sampling(max_tokens=256)


def test_what_a_target_cannot_do_is_refused(monkeypatch):
    from inspect_ai.model import ChatMessageTool, ChatMessageUser, ContentImage

    api = provider(ScriptedTarget(), monkeypatch)
    hello = [ChatMessageUser(content="Hi")]
    with pytest.raises(InputError, match="takes no top_k"):
        asked(api, hello, top_k=3)
    with pytest.raises(InputError, match="calls no tools"):
        asked(api, hello, tools=["a tool"])
    with pytest.raises(InputError, match="no tools"):
        asked(api, [*hello, ChatMessageTool(content="4")])
    with pytest.raises(InputError, match="reads text only"):
        asked(api, [ChatMessageUser(content=[ContentImage(image="data:image/png;base64,aa")])])
    with pytest.raises(InputError, match="no log-probabilities by token"):
        asked(api, hello, logprobs=True)
    with pytest.raises(RuntimeError, match="returned nothing"):
        asked(provider(ScriptedTarget(lambda prompt, sampling: []), monkeypatch), hello)


def test_log_probabilities_carry_their_tokens():
    from inspect_ai.model import ChatMessageUser

    from trueline.interop.inspect_provider import TruelineAPI

    api = TruelineAPI("testbed", treatment="self_reminder")
    output = asked(api, [ChatMessageUser(content=ASKED[0])], logprobs=True, max_tokens=4)
    told = output.choices[0].logprobs.content
    assert len(told) == output.usage.output_tokens and all(entry.logprob <= 0 for entry in told)
