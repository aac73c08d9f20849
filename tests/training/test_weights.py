"""Arithmetic on weights, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.training.weights import add_scaled, difference, drop_and_rescale, project_to_alignment


def tensors(**values):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_a_safety_vector_by_hand():
    # base 1.0, unaligned 0.8, tuned 1.3: 1.3 + 0.5 · (1.0 − 0.8) = 1.4
    base, unaligned, tuned = tensors(w=[1.0, 2.0]), tensors(w=[0.8, 2.5]), tensors(w=[1.3, 2.0])
    safety = difference(base, unaligned)
    assert safety["w"].tolist() == pytest.approx([0.2, -0.5])
    assert add_scaled(tuned, safety, 0.5)["w"].tolist() == pytest.approx([1.4, 1.75])
    assert tuned["w"].tolist() == [1.3, 2.0]


@given(st.floats(0.0, 0.95), st.integers(0, 5))
def test_what_is_kept_is_rescaled_and_the_same_seed_keeps_the_same(drop, seed):
    vector = {"w": torch.ones(40, 50)}
    kept = drop_and_rescale(vector, drop, seed)["w"]
    assert torch.equal(kept, drop_and_rescale(vector, drop, seed)["w"])
    assert kept[kept != 0].tolist() == pytest.approx([1 / (1 - drop)] * int((kept != 0).sum()))
    # the mean of 2,000 numbers stays at 1 within five standard errors, √(p/(1 − p)/2000)
    assert abs(float(kept.mean()) - 1) <= 5 * (drop / (1 - drop) / 2000) ** 0.5 + 1e-6


def test_the_projection_by_hand():
    # V = [[3], [4]], ‖V‖ = 5, Ĉ = V Vᵀ / 5 = [[9, 12], [12, 16]] / 5
    alignment = torch.tensor([[3.0], [4.0]], dtype=torch.float64)
    along = torch.tensor([[3.0], [4.0]], dtype=torch.float64)
    across = torch.tensor([[4.0], [-3.0]], dtype=torch.float64)
    kept = project_to_alignment(along, alignment, 0.5)
    assert kept.cosine == pytest.approx(1.0) and not kept.taken and kept.update is along
    gone = project_to_alignment(across, alignment, 0.5)
    assert gone.taken and gone.cosine == pytest.approx(0.0) and gone.update.abs().max() < 1e-12
    # ΔW = (1, 0)ᵀ: Ĉ ΔW = (1.8, 2.4)ᵀ, cosine 1.8 / 3 = 0.6
    mixed = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    assert not project_to_alignment(mixed, alignment, 0.59).taken
    taken = project_to_alignment(mixed, alignment, 0.61)
    assert taken.update.flatten().tolist() == pytest.approx([1.8, 2.4]) and taken.cosine == pytest.approx(0.6)


def test_nothing_to_project_stays():
    zero, some = torch.zeros(2, 2), torch.ones(2, 2)
    assert not project_to_alignment(zero, some, 1.0).taken
    assert project_to_alignment(some, zero, 1.0).update is some


def test_other_architectures_and_shares_are_refused():
    with pytest.raises(InputError, match="'v' and 0 more weights"):
        difference(tensors(w=[1.0], v=[1.0]), tensors(w=[1.0]))
    with pytest.raises(InputError, match="'w' and 0 more weights"):
        add_scaled(tensors(w=[1.0]), tensors(w=[1.0, 2.0]), 1.0)
    with pytest.raises(InputError, match="drop share of 1"):
        drop_and_rescale(tensors(w=[1.0]), 1, 0)
