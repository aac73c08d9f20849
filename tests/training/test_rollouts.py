"""Rollouts: what is drawn, with which log-probabilities, from which seeds; and what every on-policy method keeps."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from every_objective import ONE_STEP
from on_policy import CASES, CONFIG, PROMPTS, LikesEarlyWords
from test_every_objective import Killed, gradients_of, lines
from training_models import naive_logps

from trueline.core.errors import InputError
from trueline.training.adapters import with_adapters
from trueline.training.advantages.remax import AboveGreedy
from trueline.training.batches import SeededBatches
from trueline.training.budget import NOTHING
from trueline.training.config import LoraConfig
from trueline.training.groups import OLD, RolloutConfig
from trueline.training.lagrangian import Lagrangian
from trueline.training.loop import train
from trueline.training.reward_model import TrainedReward
from trueline.training.rollouts import prompts_of_rollout
from trueline.training.watching import repetition

RLOO = CASES["rloo"]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def drawn(case, model, **more):
    """The examples of one rollout by ``model``, at its second update too."""
    kept = []
    batches = case.batches(**more)
    make = batches.batch

    def keep(step):
        kept.append(list(make(step)))
        return kept[-1]

    batches.batch = keep
    case.run(model, replace(CONFIG, steps=1), batches=batches)
    return kept[0]


def frozen(case, dtype=torch.float64):
    """Examples of a rollout under weights a little off those that are then trained."""
    return drawn(case, case.model(dtype))


def on_frozen(case, model, examples, config, **more):
    batches = SeededBatches(
        kind=case.objective.batch, examples=examples, batch_size=len(examples), limit=config.steps
    )
    return train(model, batches, case.objective, config, **more)


def moved(case, by=0.02):
    """The model, its weights away from those that drew."""
    model = case.model(torch.float64)
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(by * torch.randn_like(weight))
    return model


def test_loss_and_gradient_are_the_naive_ones(case):
    examples = frozen(case)
    plain, model = moved(case), moved(case)
    loss = case.naive_loss(plain, examples)
    loss.backward()
    once = replace(ONE_STEP, steps=1, max_grad_norm=1e9, token_budget=60)
    runs = []
    gradients = gradients_of(lambda: runs.append(on_frozen(case, model, examples, once)), model)
    assert runs[0].history[0]["loss"] == pytest.approx(float(loss.detach()), abs=1e-6)
    assert max(float(g.abs().max()) for g in gradients.values()) > 1e-3
    for name, parameter in plain.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, rtol=1e-4, atol=1e-5), name


def test_the_split_of_a_step_and_the_path_do_not_change_the_trajectory(case):
    # losses and gradients rather than weights: Adam turns a gradient of rounding errors into a full step
    examples, found = frozen(case), []
    for budget, path in ((10_000, "tree"), (60, "tree"), (1, "tree"), (10_000, "flat")):
        config = replace(ONE_STEP, steps=3, token_budget=budget)
        run = on_frozen(case, moved(case), examples, config, path=path)
        found.append(torch.tensor([(line["loss"], line["grad_norm"]) for line in run.history]))
    for other in found[1:]:
        assert torch.allclose(other, found[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_killed_run_goes_on_bit_for_bit(case, tmp_path, step):
    config = replace(CONFIG, steps=6, checkpoint_every=2)

    def die(done, total, words):
        if done == step:
            raise Killed

    whole = case.model()
    expected = case.run(whole, config)
    with pytest.raises(Killed):
        case.run(case.model(), config, checkpoint_folder=tmp_path, progress=die)
    resumed = case.model()
    assert lines(case.run(resumed, config, checkpoint_folder=tmp_path)) == lines(expected)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_run_killed_within_a_rollout_goes_on_bit_for_bit(tmp_path, step):
    # four updates a rollout; a checkpoint within one would draw the rest of it with weights that had moved on
    case, config = CASES["ppo"], replace(CONFIG, steps=8, checkpoint_every=1)

    def die(done, total, words):
        if done == step:
            raise Killed

    whole = case.model()
    expected = lines(case.run(whole, config))
    with pytest.raises(Killed):
        case.run(case.model(), config, checkpoint_folder=tmp_path, progress=die)
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000004"] * (step > 4)
    resumed, rewards = case.model(), LikesEarlyWords()
    batches = case.batches(config, reward=rewards)
    assert lines(case.run(resumed, config, batches=batches, checkpoint_folder=tmp_path)) == expected
    assert len(rewards.asked) == 8 * (1 if step > 4 else 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


def test_the_reward_rises(case):
    config = replace(CONFIG, steps=24 * case.rollout.updates, batch_size=8, learning_rate=1e-2)
    history = case.run(case.model(), config).history
    rewards = [line["reward"] for line in history]
    share = len(rewards) // 6
    assert sum(rewards[-share:]) / share > sum(rewards[:share]) / share + 0.1


def test_it_learns_through_adapters_alone_and_keeps_no_copy(case):
    model = with_adapters(case.model(), LoraConfig(rank=2), seed=0)
    if case.critic:
        model.get_base_model().value_head.requires_grad_(True)
    config = replace(CONFIG, steps=max(3, case.rollout.updates + 1))  # into a second rollout
    batches = case.batches(config)
    before = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    run = case.run(model, config, batches=batches)
    assert batches._reference is model
    assert run.history[0]["kl"] == pytest.approx(0, abs=1e-5) and abs(run.history[-1]["kl"]) > 1e-5
    assert before and all(torch.equal(dict(model.named_parameters())[n], p) for n, p in before.items())


def test_examples_hold_the_tokens_drawn_with_their_log_probabilities():
    model = RLOO.model()
    reward = LikesEarlyWords()
    examples = drawn(RLOO, model, reward=reward)
    start = RLOO.model()
    assert len(examples) == 4 and all(len(e.tree.branches) == 3 for e in examples)
    for example, (prompt, answers) in zip(examples, reward.asked):
        speech = RLOO.batches().speech
        assert example.tree.trunk == speech.start(prompt)
        assert [speech.said(prompt, example.tree.trunk, branch) for branch in example.tree.branches] == list(
            answers
        )
        assert all(len(branch) <= 6 for branch in example.tree.branches)
        for old, expected in zip(example.given[OLD], naive_logps(start, example.tree)):
            torch.testing.assert_close(old.double(), expected, atol=1e-4, rtol=0)


def test_prompts_come_once_an_epoch_and_answers_from_their_place():
    places = [p for number in range(5) for p in prompts_of_rollout(number, 4, total=10, seed=0)]
    assert sorted(places[:10]) == list(range(10)) == sorted(places[10:])
    one, two = drawn(RLOO, RLOO.model()), drawn(RLOO, RLOO.model())
    assert [e.tree for e in one] == [e.tree for e in two]


def test_figures_stand_in_every_line():
    class Says:
        def fingerprint(self):
            return "says"

        def __call__(self, prompt, answers):
            return [float("w1" in answer.split()) for answer in answers]

    run = RLOO.run(RLOO.model(), batches=RLOO.batches(watch={"says w1": Says()}))
    for line in run.history:
        assert 0 <= line["reward"] <= 1 and 1 <= line["length"] <= 6 and 0 <= line["says w1"] <= 1
        assert 0 <= line["truncated"] <= 1 and line["repetition"] >= 0
        assert 0 < line["entropy"] < math.log(41) and line["moved"] < 1e-4
    assert run.history[0]["kl"] == pytest.approx(0, abs=1e-4)
    # drawing, the reference's pass, and training: 2 + 3 forward passes' worth of work
    assert run.costs["flops"] > 0


class Charges(TrainedReward):
    """A reward model whose scoring of an answer takes 1000 FLOPs."""

    def __init__(self):
        self.took = NOTHING

    def fingerprint(self):
        return "charges"

    def __call__(self, prompt, answers):
        return LikesEarlyWords()(prompt, answers)

    def flops(self, prompt, answers):
        return 1000.0 * len(answers)


def test_the_greedy_answer_is_charged_and_its_prompt_once():
    groups = []

    class Kept(AboveGreedy):
        def examples(self, made):
            groups.extend(made)
            return super().examples(made)

    case = replace(CASES["remax"], method=Kept(beta=0.05), rollout=RolloutConfig(samples=2, max_tokens=6))
    model, config = case.model(), replace(CONFIG, steps=1)
    run = case.run(model, config, case.batches(config, reward=Charges()))
    parameters = sum(p.numel() for p in model.parameters())

    def forward(trunk, branches):
        keys = sum(range(1, trunk + 1)) + sum(trunk + t + 1 for length in branches for t in range(length))
        return 2 * parameters * (trunk + sum(branches)) + 4 * 2 * 32 * keys

    total = 0
    for group in groups:
        trunk, lengths = len(group.tree.trunk), [len(branch) for branch in group.tree.branches]
        total += forward(trunk, [*lengths, len(group.greedy.tokens)])  # drawing
        total += (1 + 3) * forward(trunk, lengths)  # the reference, and training
    assert len(groups) == 4 and run.costs["flops"] == total + 4 * 3 * 1000


def test_repetition_by_hand():
    # a b a b a b a: four 4-grams, abab baba abab baba, of which two are distinct
    assert repetition([1, 2, 1, 2, 1, 2, 1]) == pytest.approx(0.5)
    assert repetition([1, 2, 3]) == 0 and repetition([1, 2, 3, 4]) == 0


def test_training_stops_when_the_kl_budget_is_spent(tmp_path):
    config = replace(CONFIG, steps=30, learning_rate=1e-2)
    budget = RolloutConfig(samples=3, max_tokens=6, kl_budget=0.5)
    run = RLOO.run(RLOO.model(), config, RLOO.batches(config, budget), checkpoint_folder=tmp_path)
    assert 1 < len(run.history) < 30 and run.stopped and "exceeded the budget of 0.5" in run.stopped
    assert run.history[-1]["kl"] > 0.5 >= max(line["kl"] for line in run.history[:-1])
    again = RLOO.run(RLOO.model(), config, RLOO.batches(config, budget), checkpoint_folder=tmp_path)
    assert len(again.history) == len(run.history) and again.stopped == run.stopped


def test_bad_input_is_one_sentence():
    with pytest.raises(
        InputError, match="rloo compares answers to one prompt, so it needs at least 2 samples"
    ):
        RLOO.batches(rollout=RolloutConfig(samples=1))
    with pytest.raises(InputError, match="all 10 prompts fill max_length 2"):
        replace(RLOO.batches(), max_length=2)

    class Broken(LikesEarlyWords):
        @staticmethod
        def of(answer):
            return float("nan")

    with pytest.raises(InputError, match="a finite one for each"):
        RLOO.run(RLOO.model(), batches=RLOO.batches(reward=Broken()))


def test_a_reward_may_be_awaited():
    class Later(LikesEarlyWords):
        def __call__(self, prompt, answers):
            async def wait():
                return [self.of(answer) for answer in answers]

            return wait()

    plain, later = (
        RLOO.run(RLOO.model(), batches=RLOO.batches(reward=r())) for r in (LikesEarlyWords, Later)
    )
    assert [a["reward"] for a in lines(plain)] == [b["reward"] for b in lines(later)]


def test_prompts_are_what_identifies_a_run():
    assert RLOO.batches().fingerprint() != replace(RLOO.batches(), prompts=PROMPTS[:5]).fingerprint()
    assert RLOO.batches().fingerprint() != replace(RLOO.batches(), seed=1).fingerprint()


class VeryEarly:
    """A cost at odds with the reward: 1 for answers that say one of the first ten words."""

    def fingerprint(self):
        return "very early"

    def __call__(self, prompt, answers):
        return [float(any(f"w{i}" in answer.split() for i in range(10))) for answer in answers]


def test_a_limit_on_cost_moves_the_multiplier_and_survives_a_kill(tmp_path):
    config = replace(CONFIG, steps=6, checkpoint_every=2)
    limit = Lagrangian(cost=VeryEarly(), limit=0.2, initial=1.0, rate=0.1)

    def run(**more):
        return RLOO.run(RLOO.model(), config, RLOO.batches(config, constraint=limit), **more)

    def die(done, total, words):
        if done == 3:
            raise Killed

    expected = lines(run())
    assert expected[0]["lambda"] == 1.0 and all(0 <= line["cost"] <= 1 for line in expected)
    for line, later in pairwise(expected):
        assert later["lambda"] == pytest.approx(
            line["lambda"] * math.exp(0.1 * line["lambda"] * (line["cost"] - 0.2))
        )
    with pytest.raises(Killed):
        run(checkpoint_folder=tmp_path, progress=die)
    assert lines(run(checkpoint_folder=tmp_path)) == expected


def test_the_cost_is_learnt_away_and_the_reward_is_reported_alone():
    config = replace(CONFIG, steps=30, batch_size=8, learning_rate=1e-2)
    free = RLOO.run(RLOO.model(), config, RLOO.batches(config, watch={"early": VeryEarly()})).history
    limit = Lagrangian(cost=VeryEarly(), limit=0.1, initial=4.0)
    held = RLOO.run(RLOO.model(), config, RLOO.batches(config, constraint=limit)).history
    assert held[-1]["cost"] < 0.3 and held[-1]["cost"] < free[-1]["early"] - 0.2
    assert 0 <= held[-1]["reward"] <= 1


def test_an_impossible_multiplier_is_refused():
    with pytest.raises(InputError, match=r"starts at 0.01 but is kept within \[0.05, 10.0\]"):
        Lagrangian(cost=VeryEarly(), limit=0.0, initial=0.01)
