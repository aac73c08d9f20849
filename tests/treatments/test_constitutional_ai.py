"""Constitutional AI: the critic's requests, the two stages, kept lines, resuming, refusals."""

import asyncio
import json
import math

import pytest
import tiny_folder
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Sampling, assistant, chat, last_user
from trueline.core.protocols import Resources
from trueline.data.preferences import Demonstration
from trueline.models.local import LocalTarget
from trueline.models.scripted import ScriptedTarget
from trueline.treatments.ai_feedback import Feedback, preferred_pairs, revised_demonstrations
from trueline.treatments.constitution import Constitution, Principle
from trueline.treatments.constitutional_ai import ConstitutionalAI
from trueline.treatments.critic import (
    COMPARISON,
    CRITIQUE,
    Critic,
    comparison_request,
    critique_request,
    preference_probability,
    read_comparison,
    revision_request,
)
from trueline.treatments.feedback_costs import comparing_flops, revising_flops

DIALS = {
    "critic": "given",
    "revisions": 2,
    "answer_tokens": 4,
    "critic_tokens": 8,
    "supervised": {"learning_rate": 1e-2, "epochs": 3, "batch_size": 4},
    "preference_settings": {"learning_rate": 1e-2, "epochs": 2, "batch_size": 4, "beta": 0.5},
}
KIND = Principle(name="kind", principle="Be kind.")


class Reward:
    """Likes w30; fingerprints as one thing."""

    def fingerprint(self):
        return "likes w30"

    def __call__(self, prompt, answers):
        return [float("w30" in answer) for answer in answers]


def script(prompt):
    asked = last_user(prompt)
    return "w9 is unkind" if asked.startswith(CRITIQUE) else "w30 w31"


def likes_w30(prompt, letter):
    _, first, second = read_comparison(last_user(prompt))
    return 3.0 * ((first.count("w3") > second.count("w3")) == (letter == "A"))


def critic(answers=script, **options):
    return ScriptedTarget(answers, **{"scores": likes_w30, "name": "critic", **options})


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def resources(folder, judge, **more):
    prompts = [
        Demonstration(prompt=chat(f"w{i} w{i + 1}"), answer="never read") for i in range(more.pop("n", 12))
    ]
    return Resources(workdir=folder, demonstrations=prompts, targets={"critic": judge}, **more)


def lines(folder, name):
    (file,) = folder.glob(f"constitutional_ai-*/*{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_requests_in_words():
    prompt = chat("May I?")
    asked = critique_request(prompt, "No.", KIND)
    assert asked[:2] == (*prompt, assistant("No.")) and asked[2].content.endswith("Be kind.")
    revised = revision_request(prompt, "No.", "It is curt.", KIND)
    assert revised[:3] == asked and revised[3] == assistant("It is curt.") and len(revised) == 5
    (compared,) = comparison_request(prompt, "No.", "Yes,\n\nof course.", KIND)
    assert compared.content.startswith(COMPARISON)
    assert read_comparison(compared.content) == ("user: May I?", "No.", "Yes,\n\nof course.")
    assert read_comparison("Which is better?") is None


def test_the_preference_by_hand():
    # σ(2) = 0.880797 in the first order; swapped, A is likelier by 1: 1 − σ(1) = 0.268941; mean 0.574869
    assert preference_probability((-1.0, -3.0), (-1.0, -2.0)) == pytest.approx(0.574869, abs=1e-6)
    assert preference_probability((0.0, -math.inf), (-math.inf, 0.0)) == 1.0
    # a critic that always says A has no preference
    assert preference_probability((0.0, -math.inf), (0.0, -math.inf)) == 0.5


@given(*[st.floats(-60, 0)] * 4)
def test_the_preference_for_the_other_answer_is_the_rest(a, b, c, d):
    there, back = preference_probability((a, b), (c, d)), preference_probability((c, d), (a, b))
    assert 0 <= there <= 1 and there + back == pytest.approx(1)


@pytest.mark.parametrize(
    ("replies", "expected"),
    [(("A", "(B)"), 1.0), (("b.", "Answer: A"), 0.0), (("A", "A"), 0.5), (("A", "Both are fine."), None)],
)
def test_letters_where_no_log_probabilities_are_given(replies, expected):
    said = iter(replies)
    judge = Critic(target=ScriptedTarget(lambda prompt: next(said)), max_tokens=8)
    assert asyncio.run(judge.prefers(chat("q"), "x", "y", KIND)) == expected


def test_both_stages_learn_what_the_critic_says(target, tmp_path):
    before = target.fingerprint()
    treated = ConstitutionalAI(**DIALS).apply(target, resources(tmp_path, critic(), reward=Reward()))
    (answer,) = asyncio.run(treated.generate(chat("w1 w2"), Sampling(max_tokens=4)))
    assert answer.text.strip() == "w30 w31" and target.fingerprint() == before
    about, *rows = lines(tmp_path, "revisions.jsonl")
    assert about["about"]["critic"] == critic().fingerprint() and len(rows) == 12
    for row in rows:
        assert [step["critique"] for step in row["steps"]] == ["w9 is unkind"] * 2
        assert [step["revision"] for step in row["steps"]] == ["w30 w31"] * 2 and row["prompt"]
    told = treated.describe()
    assert [t["name"] for t in told["treatments"]] == ["constitutional_ai"]
    assert told["feedback"]["revisions"] == 24 and told["feedback"]["critic"] == "critic"
    # 24 revisions, 3 epochs in batches of 4: 18 steps, and those of DPO
    assert told["training"]["steps"] > 18
    agreed = told["feedback"]["AI preferences"]["agreement with the reward"]
    assert agreed["n"] + agreed["ties"] == told["feedback"]["AI preferences"]["pairs"] > 0
    assert json.loads(json.dumps(dict(told), default=str))


def test_all_stages_share_one_budget(target, tmp_path):
    whole = ConstitutionalAI(**DIALS, budget={"flops": 1e8}).apply(target, resources(tmp_path, critic()))
    told = whole.describe()["training"]
    stages = [json.loads(file.read_text())["training"] for file in tmp_path.glob("*/manifest.json")]
    assert len(stages) == 2 and told["steps"] == sum(stage["steps"] for stage in stages)
    drawn = told["flops"] - sum(stage["flops"] for stage in stages)
    assert drawn > 0 and 0.9 * 1e8 < told["flops"] <= 1e8
    first = next(
        json.loads(file.read_text())["training"]["flops"] for file in tmp_path.glob("sft-*/manifest.json")
    )
    assert 0.4 * 1e8 < first < 0.5 * 1e8
    again = ConstitutionalAI(**DIALS, budget={"flops": 1e8}).apply(target, resources(tmp_path, critic()))
    assert again.describe()["training"]["flops"] == told["flops"]
    with pytest.raises(InputError, match="leaves nothing to train with: the revisions took"):
        ConstitutionalAI(**DIALS, budget={"flops": 1e3}).apply(target, resources(tmp_path, critic()))


def test_what_a_model_drew_and_said_is_counted_by_hand(target):
    constitution = Constitution(principles=(KIND,))
    prompt = chat("w1 w2")  # bos, user, two words, bot: 5 tokens, and an answer of two words and its end
    row = {"answer": "w3 w4", "steps": [{"critique": "", "revision": None}]}
    parameters = sum(p.numel() for p in target.model.parameters())
    keys = 5 * 6 / 2 + 3 * 5 + 3 * 4 / 2
    drawn = 2 * parameters * 8 + 4 * 2 * 32 * keys
    for judge in (target, critic()):
        feedback = Feedback(
            constitution=constitution, critic=Critic(target=judge, max_tokens=8), seed=0, answer_tokens=4
        )
        assert revising_flops(feedback, target, [row], [prompt]) == drawn
        said = {"answer": "w3 w4", "steps": [{"critique": "w5", "revision": "w6"}]}
        more = revising_flops(feedback, target, [said], [prompt])
        assert more > 3 * drawn if judge is target else more == drawn
        pair = {"answers": ["w3", "w4"], "first_is_better": 0.9}
        both = 2 * parameters * 9 + 4 * 2 * 32 * (15 + 2 * (2 * 5 + 3))
        compared = comparing_flops(feedback, target, [pair], [prompt])
        assert compared > 2 * both if judge is target else compared == both


def test_the_first_stage_alone(target, tmp_path):
    alone = ConstitutionalAI(**{**DIALS, "preference": "none", "preference_settings": {}})
    treated = alone.apply(target, resources(tmp_path, critic()))
    assert treated.describe()["training"]["steps"] == 18
    assert not list(tmp_path.glob("dpo-*")) and "AI preferences" not in treated.describe()["feedback"]


def test_killed_in_the_middle_it_goes_on_and_asks_nothing_twice(target, tmp_path):
    whole = ConstitutionalAI(**DIALS).apply(target, resources(tmp_path / "a", critic()))
    asked = []

    def dies(prompt):
        asked.append(prompt)
        if len(asked) == 30:
            raise KeyboardInterrupt
        return script(prompt)

    with pytest.raises(KeyboardInterrupt):
        ConstitutionalAI(**DIALS).apply(target, resources(tmp_path / "b", critic(dies)))
    kept = len(lines(tmp_path / "b", "revisions.jsonl")) - 1
    (file,) = (tmp_path / "b").glob("*/revisions.jsonl")
    with file.open("a") as stream:
        stream.write('{"id": 11, "torn')
    judge = critic()
    resumed = ConstitutionalAI(**DIALS).apply(target, resources(tmp_path / "b", judge))
    revising = [call for call in judge.calls if call.sampling is not None]
    assert len(revising) == 4 * (12 - kept)
    assert resumed.fingerprint() == whole.fingerprint()
    by_id = [{row["id"]: row for row in lines(tmp_path / x, "revisions.jsonl")[1:]} for x in "ab"]
    assert by_id[0] == by_id[1]

    again = critic()
    ConstitutionalAI(**DIALS).apply(target, resources(tmp_path / "b", again))
    assert again.calls == []


def test_what_the_critic_does_not_say_is_not_learnt():
    rows = [
        {"prompt": [{"role": "user", "content": "q"}], "answer": "x", "reason": None,
         "steps": [{"principle": "p", "critique": "c", "revision": None, "reason": "truncated"},
                   {"principle": "p", "critique": "c", "revision": "y", "reason": None}]},
    ]  # fmt: skip
    assert [shown.answer for shown in revised_demonstrations(rows)] == ["y"]
    pairs = [
        {
            "prompt": rows[0]["prompt"],
            "answers": ["x", "y"],
            "principle": "p",
            "first_is_better": p,
            "reason": r,
        }
        for p, r in ((0.8, None), (0.1, None), (None, "identical"))
    ]
    assert [(pair.chosen, pair.rejected) for pair in preferred_pairs(pairs)] == [("x", "y"), ("y", "x")]


@pytest.mark.parametrize(
    "said", ["", Completion(text="w30", outcome="truncated"), Completion(text="w30", outcome="guard-blocked")]
)
def test_a_critic_without_usable_words_is_an_error(target, tmp_path, said):
    with pytest.raises(InputError, match="no usable revision"):
        ConstitutionalAI(**DIALS).apply(target, resources(tmp_path, critic(lambda prompt: said)))


def test_the_model_may_be_its_own_critic(target, tmp_path):
    file = tmp_path / "short.yaml"
    file.write_text("- {principle: w5, critique: w6, revision: w7}")
    dials = {"critic": "self", "preference": "none", "preference_settings": {}, "critic_tokens": 30}
    own = ConstitutionalAI(**{**DIALS, **dials, "constitution": str(file)})
    treated = own.apply(target, resources(tmp_path, critic()))
    told = treated.describe()["feedback"]
    assert told["critic"] == target.name
    # a random model often says nothing, or too much for its window: each such step is counted
    assert told["revisions"] + sum(told["not used"].values()) == 12 * 2 and told["revisions"] > 0


@pytest.mark.parametrize("name", ["dpo", "cdpo", "robust_dpo", "ipo", "rso_hinge", "gpo"])
def test_any_method_of_pairs_may_learn_the_preferences(name):
    chosen = ConstitutionalAI(preference=name)._preference()
    assert chosen.name == name and "preferences" in chosen.resources


def test_missing_parts_and_impossible_dials_are_one_sentence(target, tmp_path):
    with pytest.raises(InputError, match=r"give resources.targets\['critic'\]"):
        ConstitutionalAI(**DIALS).apply(
            target, Resources(workdir=tmp_path, demonstrations=tiny_folder.demonstrations())
        )
    with pytest.raises(InputError, match="needs prompts"):
        ConstitutionalAI(**DIALS).apply(target, Resources(workdir=tmp_path, targets={"critic": critic()}))
    with pytest.raises(InputError, match="critic told no two answers apart"):
        ConstitutionalAI(**DIALS).apply(
            target, resources(tmp_path, critic(scores=lambda prompt, letter: 0.0, name="undecided"))
        )
    for dials, message in (
        ({"revisions": 0}, "revisions 0"),
        ({"preference": "sft"}, "'sft' is no method that learns from pairs"),
        ({"preference": "nonsense"}, "'nonsense' is no method"),
        ({"preference": "none", "preference_settings": {"beta": 1}}, "preference 'none'"),
        (
            {"supervised": {"speed": 1}},
            "supervised do not fit: treatment 'sft' does not take the option 'speed'",
        ),
        ({"constitution": "nowhere.yaml"}, "cannot be read"),
        ({"budget": {"seconds": 3}}, "a budget in seconds is not supported"),
        ({"budget": {"flops": 1e9}, "supervised": {"budget": {"flops": 1e8}}}, "one in supervised"),
    ):
        with pytest.raises(InputError, match=message):
            ConstitutionalAI(**dials)
