"""Directions: the means by hand, and activations equal to those of single unpadded passes."""

import pytest
import torch
from small_models import FAMILIES, target

from trueline.core.errors import InputError
from trueline.interventions import directions
from trueline.interventions.directions import difference_in_means, last_states, mean_states
from trueline.interventions.steering import AddVector


def test_a_difference_of_means_by_hand():
    # (1 + 3)/2 − 5 = −3, (0 + 4)/2 − 1 = 1
    found = difference_in_means(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[5.0, 1.0]]))
    assert found.tolist() == [-3.0, 1.0]


def test_a_side_without_examples_is_refused():
    with pytest.raises(InputError, match="there are 2 and 0"):
        difference_in_means(torch.zeros(2, 3), torch.zeros(0, 3))


@pytest.mark.parametrize("family", FAMILIES)
def test_states_equal_those_of_single_passes(family, monkeypatch):
    monkeypatch.setattr(directions, "PASS_TOKENS", 12)  # several passes, of unequal rows
    read = target(family)
    texts = [(5, 9, 31), (7,), (8, 10, 11, 12, 13, 14), (9, 40), (22, 23, 24, 25, 26)]
    starts = [1, 0, 2, 0, 4]
    last, mean = last_states(read, texts), mean_states(read, texts, starts)
    assert last.shape == mean.shape == (5, 3, 32)
    for row, (text, start) in enumerate(zip(texts, starts)):
        with torch.no_grad():
            states = read.model(torch.tensor([text]), output_hidden_states=True).hidden_states
        # the last entry is after the final norm, so the last layer's output is not among them
        for layer in (0, 1):
            whole = states[layer + 1][0]
            assert torch.allclose(last[row, layer], whole[-1], atol=1e-4)
            assert torch.allclose(mean[row, layer], whole[start:].mean(dim=0), atol=1e-4)


def test_a_targets_own_interventions_are_in_force():
    plain = target()
    vector = torch.arange(32.0)
    steered = plain.with_intervention(AddVector(vector=vector, layer=0))
    moved = last_states(steered, [(5, 9)])[0] - last_states(plain, [(5, 9)])[0]
    assert torch.allclose(moved[0], vector, atol=1e-4) and not torch.allclose(moved[2], vector, atol=1e-2)
