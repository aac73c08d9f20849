"""Advantages, with the arithmetic by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.models.trees import Tree
from trueline.training.advantages.rloo import LeaveOneOut, leave_one_out
from trueline.training.groups import Group, rewards_of
from trueline.training.objectives.policy_gradient import clipped_share, clipped_surrogate

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
