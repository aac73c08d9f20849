"""The objectives' formulas, with the arithmetic by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.training.objectives.dpo import DPOObjective, dpo_loss
from trueline.training.objectives.reward import bradley_terry_loss
from trueline.training.objectives.sft import sft_loss


def test_sft_is_the_token_mean_of_the_whole_step():
    # two answers of 1 and 3 tokens, log-probabilities −1 and −2, −3, −6: −(−12) / 4 = 3,
    # while the mean of the two answers' means would be (1 + 11/3) / 2 = 2.33
    first = sft_loss(torch.tensor([-1.0]), 4)
    second = sft_loss(torch.tensor([-2.0, -3.0, -6.0]), 4)
    assert float(first + second) == pytest.approx(3.0)


def test_dpo_by_hand():
    # Δ⁺ = −10 − (−12) = 2, Δ⁻ = −11 − (−10) = −1, β = 0.1: −log σ(0.1 · 3) = log(1 + e^−0.3) = 0.554355
    loss = dpo_loss(
        torch.tensor([-10.0]), torch.tensor([-11.0]), torch.tensor([-12.0]), torch.tensor([-10.0]), beta=0.1
    )
    assert float(loss) == pytest.approx(0.554355, abs=1e-6)


def test_dpo_starts_at_log_two_and_survives_extremes():
    same = torch.tensor([-40.0])
    assert float(dpo_loss(same, same, same, same, beta=0.5)) == pytest.approx(math.log(2))
    far = dpo_loss(torch.tensor([-5000.0]), torch.tensor([0.0]), torch.zeros(1), torch.zeros(1), beta=1.0)
    assert float(far) == pytest.approx(5000.0)


@given(st.lists(st.floats(-50, 0), min_size=4, max_size=4), st.floats(0.01, 2))
def test_dpo_of_a_pair_and_of_its_mirror_image(values, beta):
    # σ(x) + σ(−x) = 1
    a, b, c, d = (torch.tensor([v], dtype=torch.float64) for v in values)
    there, back = dpo_loss(a, b, c, d, beta=beta), dpo_loss(b, a, d, c, beta=beta)
    assert float(torch.exp(-there) + torch.exp(-back)) == pytest.approx(1.0)


def test_bradley_terry_by_hand():
    # r⁺ − r⁻ − m = 1.5 − 0.5 − 0.25 = 0.75: log(1 + e^−0.75) = 0.386871
    loss = bradley_terry_loss(torch.tensor([1.5]), torch.tensor([0.5]), torch.tensor([0.25]))
    assert float(loss) == pytest.approx(0.386871, abs=1e-6)


def test_a_beta_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="beta 0"):
        DPOObjective(beta=0.0)
