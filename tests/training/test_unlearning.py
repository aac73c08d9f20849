"""The unlearning losses, with the arithmetic by hand, and what their gradients do."""

import pytest
import torch
from chat_codec import codec
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.data.labelled import LabelledText
from trueline.training.data import labelled_text_examples
from trueline.training.objectives.circuit_breakers import (
    CircuitBreakersObjective,
    reroute_loss,
    retain_loss,
)
from trueline.training.objectives.gradient_ascent import ascent_loss
from trueline.training.objectives.npo import NPOObjective, npo_loss
from trueline.training.objectives.rmu import control_vector, distance
from trueline.training.objectives.simnpo import SimNPOObjective, simnpo_loss


def test_ascent_by_hand():
    # two texts of 1 and 3 tokens with ℓ = −2 and −10: −12 / 4 = −3; a step without any: 0
    assert float(ascent_loss(torch.tensor([-2.0, -10.0]), 4)) == pytest.approx(-3.0)
    assert float(ascent_loss(torch.tensor([]), 0)) == 0.0


def test_npo_by_hand():
    # Δ = −12 − (−10) = −2, β = 0.5: (2/0.5) log(1 + e^−1) = 4 · 0.313262 = 1.253047
    loss = npo_loss(torch.tensor([-12.0]), torch.tensor([-10.0]), beta=0.5)
    assert float(loss) == pytest.approx(1.253047, abs=1e-6)
    # it starts at (2/β) log 2 and never falls below 0
    assert float(npo_loss(torch.zeros(1), torch.zeros(1), beta=0.5)) == pytest.approx(2.772589, abs=1e-6)
    assert 0 <= float(npo_loss(torch.tensor([-5000.0]), torch.zeros(1), beta=1.0)) < 1e-6


def test_simnpo_by_hand():
    # ℓ/|y| = −8/4 = −2, β = 2.5, γ = 0.5: (2/2.5) log(1 + e^−4.5) = 0.8 · 0.011048 = 0.008838
    loss = simnpo_loss(torch.tensor([-8.0]), torch.tensor([4.0]), beta=2.5, gamma=0.5)
    assert float(loss) == pytest.approx(0.008838, abs=1e-6)


@given(st.floats(-30, 10), st.floats(0.05, 3))
def test_npo_weights_the_gradient_of_ascent(difference, beta):
    # equation 5: W = 2 (π/π₀)^β / (1 + (π/π₀)^β), between 0 (forgotten) and 2
    logps = torch.tensor([difference - 40.0], dtype=torch.float64, requires_grad=True)
    npo_loss(logps, torch.tensor([-40.0], dtype=torch.float64), beta=beta).sum().backward()
    ratio = torch.tensor(difference, dtype=torch.float64).exp() ** beta
    assert float(logps.grad) == pytest.approx(
        float(2 * ratio / (1 + ratio)), rel=1e-8
    )  # softplus is linear beyond 20


def test_npo_tends_to_ascent_as_beta_vanishes():
    # proposition 1: L − (2/β) log 2 → Δ
    logps, reference, beta = torch.tensor([-9.0]).double(), torch.tensor([-4.0]).double(), 1e-5
    start = npo_loss(reference, reference, beta=beta)
    assert float(npo_loss(logps, reference, beta=beta) - start) == pytest.approx(-5.0, abs=1e-3)


def test_documents_and_answers_become_trees():
    rows = [
        LabelledText(prompt="", answer="w1 w2 w3", wanted=False),
        LabelledText(prompt=chat("w5"), answer="w6", wanted=True),
    ]
    made = labelled_text_examples(codec(), rows, 64).examples
    # a document is predicted from the beginning token and has no end token; an answer ends with one
    assert (made[0].tree.trunk, made[0].tree.branches) == ((2,), ((7, 8, 9),))
    assert made[1].tree.branches[0][-1] == 1 and made[1].tree.trunk[-1] == 5
    assert [example.facts["wanted"] for example in made] == [(0.0,), (1.0,)]


def test_a_bare_request_is_no_text_to_forget():
    with pytest.raises(InputError, match="row 0 is a bare request"):
        labelled_text_examples(codec(), [LabelledText(prompt=chat("w1"), answer="", wanted=False)], 64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NPOObjective(beta=0.0), "beta 0.0 is not allowed: npo"),
        (lambda: NPOObjective(retain_weight=-1.0), "retain_weight -1.0 is not allowed: npo"),
        (lambda: SimNPOObjective(gamma=float("nan")), "gamma nan is not allowed: simnpo"),
        (lambda: CircuitBreakersObjective(layers=()), r"layers \[\] are not allowed: circuit_breakers"),
        (lambda: CircuitBreakersObjective(layers=(2, -1)), r"layers \[2, -1\] are not allowed"),
    ],
)
def test_impossible_dials_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_misdirection_by_hand():
    # ‖(1, 2) − (0, 4)‖²/2 = (1 + 4)/2; u has length 1 and entries of one sign
    assert float(distance(torch.tensor([[1.0, 2.0]]), torch.tensor([0.0, 4.0]))) == 2.5
    u = control_vector(50)
    assert float(u.norm()) == pytest.approx(1.0) and bool((u >= 0).all())
    assert torch.equal(u, control_vector(50)) and not torch.equal(u, control_vector(50, seed=1))


def test_rerouting_by_hand():
    # one token, two layers: cos((1, 1), (1, 0)) = 0.707107 and cos((−1, 0), (1, 0)) = −1, which counts as 0
    states, before = torch.tensor([[[1.0, 1.0], [-1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert float(reroute_loss(states, before)) == pytest.approx(0.707107 / 2, abs=1e-6)
    # ‖(3, 4)‖ = 5 and ‖(0, 1)‖ = 1
    moved, held = torch.tensor([[[3.0, 4.0], [2.0, 1.0]]]), torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
    assert float(retain_loss(moved, held)) == pytest.approx(3.0)


@given(st.floats(0.1, 50))
def test_rerouting_sees_directions_and_not_lengths(length):
    states = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(reroute_loss(length * states, before), reroute_loss(states, before))
    assert bool((reroute_loss(states, before) <= 1).all()) and float(retain_loss(before, before).sum()) == 0


def test_a_state_that_has_not_moved_has_a_gradient_of_zero():
    # as in a run's first step, where ‖h − h₀‖ has no derivative
    states = torch.ones(1, 1, 4, requires_grad=True)
    retain_loss(states, torch.ones(1, 1, 4)).sum().backward()
    assert float(states.grad.abs().sum()) == 0
