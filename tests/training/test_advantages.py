"""Advantages, with the arithmetic by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.models.trees import Tree
from trueline.training.advantages.grpo import GroupRelative, group_relative
from trueline.training.advantages.online_dpo import OwnPairs, best_and_worst
from trueline.training.advantages.ppo import (
    RETURNS,
    VALUES,
    GeneralizedAdvantages,
    generalized_advantages,
    token_rewards,
)
from trueline.training.advantages.raft import BestAnswer, best_of
from trueline.training.advantages.reinforce_plus_plus import normalised, returns_to_go
from trueline.training.advantages.remax import AboveGreedy
from trueline.training.advantages.rloo import LeaveOneOut, leave_one_out
from trueline.training.groups import Greedy, Group, rewards_of
from trueline.training.lagrangian import combined, next_multiplier
from trueline.training.objectives.policy_gradient import clipped_share, clipped_surrogate
from trueline.training.objectives.ppo import PPOObjective, clipped_value_loss
from trueline.training.objectives.token_policy import k2, k3

ROWS = st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=4)


def group(rewards, old=None, reference=None, **more):
    """A group whose answers have two tokens each."""
    count = len(rewards)
    return Group(
        index=0,
        prompt=chat("w1"),
        tree=Tree(trunk=(1, 2), branches=((3, 4),) * count),
        texts=("w3 w4",) * count,
        finished=(True,) * count,
        rewards=tuple(rewards),
        old=tuple(torch.tensor(row) for row in old or [[-1.0, -1.0]] * count),
        reference=tuple(torch.tensor(row) for row in reference or [[-1.0, -1.0]] * count),
        **more,
    )


def test_leave_one_out_by_hand():
    # the others' means are (2 + 6)/2 = 4, (1 + 6)/2 = 3.5, (1 + 2)/2 = 1.5
    advantages = leave_one_out(torch.tensor([[1.0, 2.0, 6.0]]))
    assert advantages.tolist() == [[-3.0, -1.5, 4.5]]
    assert leave_one_out(torch.tensor([[1.0, 0.0]])).tolist() == [[1.0, -1.0]]


@given(ROWS, st.floats(-3, 3))
def test_leave_one_out_sums_to_zero_and_ignores_a_constant(rows, shift):
    rewards = torch.tensor(rows, dtype=torch.float64)
    advantages = leave_one_out(rewards)
    assert advantages.sum(dim=1).abs().max() < 1e-9
    torch.testing.assert_close(leave_one_out(rewards + shift), advantages, atol=1e-9, rtol=0)


def test_group_relative_by_hand():
    # mean 0.5, sample variance 4 · 0.25 / 3 = 1/3: ±0.5 / 0.57735 = ±0.86603
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    assert group_relative(rewards).tolist()[0] == pytest.approx([0.866, -0.866, -0.866, 0.866], abs=1e-3)
    assert group_relative(rewards, "none").tolist()[0] == [0.5, -0.5, -0.5, 0.5]
    # a second group of equal rewards says nothing by itself, but widens the whole rollout's spread:
    # eight rewards (1, 0, 0, 1, 3, 3, 3, 3) have mean 1.75 and sample variance 13.5 / 7
    both = torch.tensor([[1.0, 0.0, 0.0, 1.0], [3.0] * 4])
    assert group_relative(both)[1].abs().max() == 0
    assert group_relative(both, "batch")[0].tolist() == pytest.approx(
        [x / 1.38873 for x in (0.5, -0.5, -0.5, 0.5)], abs=1e-4
    )
    with pytest.raises(InputError, match="scale 'sd'"):
        GroupRelative(scale="sd")


def test_above_greedy_by_hand():
    made = group([1.0, 0.0], old=[[-1.0, -1.0]] * 2, reference=[[-2.0, -1.5], [-1.0, -1.0]],
                 greedy=Greedy(tokens=(5,), text="w5", reward=0.4))  # fmt: skip
    # R = (1 − 0.2 · 1.5, 0) = (0.7, 0), less 0.4
    (example,) = AboveGreedy(beta=0.2).examples([made])
    assert example.facts["advantages"] == (pytest.approx(0.3), pytest.approx(-0.4))


def test_returns_to_go_by_hand():
    # 1 − 0.01 (0.5 + 0.1) and 1 − 0.01 · 0.1
    returns = returns_to_go(1.0, torch.tensor([0.5, 0.1]), 0.01)
    assert returns.tolist() == pytest.approx([0.994, 0.999])
    # tokens (1, 1), (4): mean 2, variance (1 + 1 + 4) / 3 = 2
    rows = normalised([torch.tensor([1.0, 1.0]), torch.tensor([4.0])])
    assert torch.cat(rows).tolist() == pytest.approx([-0.70711, -0.70711, 1.41421], abs=1e-5)


def test_generalized_advantages_by_hand():
    # r = (−0.2 · 0.5, 1 − 0.2 · 0.1) = (−0.1, 0.98)
    rewards = token_rewards(1.0, torch.tensor([0.5, 0.1], dtype=torch.float64), 0.2)
    assert rewards.tolist() == pytest.approx([-0.1, 0.98])
    # δ = (−0.1 + 0.6 − 0.5, 0.98 − 0.6) = (0, 0.38); A = (0 + 0.95 · 0.38, 0.38)
    values = torch.tensor([0.5, 0.6], dtype=torch.float64)
    found = generalized_advantages(rewards, values, gamma=1.0, lam=0.95)
    assert found.tolist() == pytest.approx([0.361, 0.38])
    # γ = 0.5, λ = 0.5: δ = (−0.1 + 0.3 − 0.5, 0.38), A = (−0.3 + 0.25 · 0.38, 0.38)
    found = generalized_advantages(rewards, values, gamma=0.5, lam=0.5)
    assert found.tolist() == pytest.approx([-0.205, 0.38])


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=6))
def test_lambda_one_is_the_remaining_reward_and_lambda_zero_the_one_step_error(rows):
    rewards, values = torch.tensor(rows, dtype=torch.float64).T
    whole = generalized_advantages(rewards, values, gamma=1.0, lam=1.0)
    remaining = rewards.flip(0).cumsum(0).flip(0)
    torch.testing.assert_close(whole + values, remaining)
    step = generalized_advantages(rewards, values, gamma=1.0, lam=0.0)
    torch.testing.assert_close(step.sum(), rewards.sum() - values[0])


def test_ppo_whitens_advantages_once_and_leaves_returns_as_they_are():
    made = group([1.0, 0.0], values=(torch.tensor([0.5, 0.6]), torch.tensor([0.5, 0.6])))
    (example,) = GeneralizedAdvantages(beta=0.0, lam=1.0).examples([made])
    # A = (0.5, 0.4), (−0.5, −0.6): mean −0.05, variance (0.3025 + 0.2025 + 0.2025 + 0.3025) / 4 = 0.2525
    found = torch.cat(example.given["advantages"]).tolist()
    assert found == pytest.approx([x / math.sqrt(0.2525) for x in (0.55, 0.45, -0.45, -0.55)])
    assert torch.cat(example.given[RETURNS]).tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0], abs=1e-6)
    assert torch.cat(example.given[VALUES]).tolist() == pytest.approx([0.5, 0.6, 0.5, 0.6])


def test_the_value_loss_by_hand():
    # held at 0.2 ± 0.2. V = 1, G = 0.5: ½ max(0.25, 0.01); V = 0.6, G = 1: ½ max(0.16, 0.36); unmoved: ½ · 0.64
    values, returns, old = torch.tensor([1.0, 0.6, 0.2]), torch.tensor([0.5, 1.0, 1.0]), torch.full((3,), 0.2)
    assert clipped_value_loss(values, returns, old, 0.2).tolist() == pytest.approx([0.125, 0.18, 0.32])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GeneralizedAdvantages(beta=-1.0), "beta -1.0 is not allowed: ppo needs"),
        (lambda: GeneralizedAdvantages(lam=1.5), "with lambda 1.5 is not allowed"),
        (lambda: GeneralizedAdvantages(gamma=0.0), "gamma 0.0 with lambda"),
        (lambda: PPOObjective(value_epsilon=0.0), "value_epsilon 0.0 is not allowed"),
        (lambda: PPOObjective(value_weight=-0.1), "value_weight -0.1 is not allowed"),
    ],
)
def test_impossible_dials_of_ppo_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_k2_and_k3_by_hand():
    # log π − log π₀ = 0.5: k2 = 0.125, k3 = e^−0.5 + 0.5 − 1 = 0.10653
    new, old = torch.tensor([-1.0]), torch.tensor([-1.5])
    assert float(k2(new, old)) == pytest.approx(0.125)
    assert float(k3(new, old)) == pytest.approx(0.10653, abs=1e-5)


def test_only_k2_has_the_gradient_of_the_divergence_and_k1_has_none():
    # exact expectations over three tokens: E_π[∇ k] against ∇ KL(π ‖ π₀)
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    reference = torch.log_softmax(torch.tensor([0.0, 0.5, -0.4], dtype=torch.float64), dim=0)

    def gradient(value):
        return torch.autograd.grad(value, logits)[0]

    def logps():
        return torch.log_softmax(logits, dim=0)

    truth = gradient((logps().exp() * (logps() - reference)).sum())
    draws = logps().exp().detach()
    torch.testing.assert_close(gradient((draws * k2(logps(), reference)).sum()), truth)
    assert gradient((draws * (logps() - reference)).sum()).abs().max() < 1e-12
    assert (gradient((draws * k3(logps(), reference)).sum()) - truth).abs().max() > 0.01


def test_a_multiplier_by_hand():
    dials = {"limit": 0.1, "rate": 0.5, "floor": 0.05, "ceiling": 10.0}
    # ln λ ← ln 2 + 0.5 · 2 · (0.4 − 0.1) = ln 2 + 0.3
    assert next_multiplier(2.0, 0.4, **dials) == pytest.approx(2 * math.exp(0.3))
    assert next_multiplier(0.05, 0.0, **dials) == 0.05 and next_multiplier(9.0, 5.0, **dials) == 10.0
    assert next_multiplier(5.0, 1e9, **dials) == 10.0
    assert combined([0.8, 0.8], [1.0, 0.0], 1.0) == (pytest.approx(-0.1), pytest.approx(0.4))


def test_divergence_is_paid_for_in_reward():
    # k1 of the first answer: (−1 + 2) + (−1 + 1.5) = 1.5; of the second 0. R = (1 − 0.2·1.5, 0) = (0.7, 0)
    made = group([1.0, 0.0], old=[[-1.0, -1.0]] * 2, reference=[[-2.0, -1.5], [-1.0, -1.0]])
    assert rewards_of([made], 0.2).tolist() == [[pytest.approx(0.7), 0.0]]
    (example,) = LeaveOneOut(beta=0.2).examples([made])
    assert example.facts["advantages"] == (pytest.approx(0.7), pytest.approx(-0.7))
    with pytest.raises(InputError, match="beta -1"):
        LeaveOneOut(beta=-1)


def test_the_clip_by_hand():
    ratios = torch.tensor([1.5, 0.5, 0.5, 1.5, 1.0])
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0, 3.0])
    gains = clipped_surrogate(ratios.log(), advantages, low=0.2, high=0.2)
    torch.testing.assert_close(gains, torch.tensor([1.2, 0.5, -0.8, -1.5, 3.0]))
    cut = clipped_share(ratios.log(), advantages, low=0.2, high=0.2)
    assert cut.tolist() == [1, 0, 1, 0, 0]


def test_raft_keeps_the_first_best_and_online_dpo_the_best_and_the_worst():
    made = group([0.2, 0.9, 0.9, 0.1])
    (example,) = BestAnswer().examples([made])
    assert best_of(made.rewards) == 1 and len(example.tree.branches) == 1
    assert example.facts["advantages"] == (1.0,)
    assert best_and_worst(made.rewards) == (1, 3) and best_and_worst([0.5, 0.5]) == (0, 0)
    (pair,) = OwnPairs().examples([made])
    assert len(pair.tree.branches) == len(pair.reference) == 2
