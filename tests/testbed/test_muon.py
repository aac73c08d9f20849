"""Muon: orthogonal steps, by hand where that is possible."""

import pytest
import torch

from trueline.testbed.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(2, 6, 10), (2, 10, 6), (1, 8, 8)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    made = orthogonal(matrices)
    assert made.shape == matrices.shape
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.5 and values.max() < 1.25
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ made @ right.mT  # diagonal in the singular vectors of the input
    assert torch.allclose(inner, torch.diag_embed(torch.diagonal(inner, dim1=-2, dim2=-1)), atol=1e-9)


def test_two_steps_by_hand() -> None:
    # On a row the iteration is a polynomial of one number, and only the sign and the scale are left.
    gradient = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0]], dtype=torch.float64))
    optimizer = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5)
    length = 1.0
    for _ in range(5):
        length = 3.4445 * length - 4.7750 * length**3 + 2.0315 * length**5
    step = 0.1 * 0.2 * 2**0.5 * length * torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    expected = weight.detach().clone()
    for _ in range(2):  # the same gradient twice: momentum changes its length, not its direction
        weight.grad = gradient.clone()
        optimizer.step()
        expected = expected * (1 - 0.1 * 0.5) - step
        assert torch.allclose(weight, expected, rtol=1e-6)


def test_momentum_looks_ahead() -> None:
    weight = torch.nn.Parameter(torch.zeros(1, 2, dtype=torch.float64))
    optimizer = Muon([weight], lr=1.0, momentum=0.5)
    weight.grad = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    optimizer.step()
    # M = 0.5 · (4, 0) + (0, 2) = (2, 2); G + 0.5 M = (1, 3)
    moved = weight.detach() - before
    assert float(moved[0, 1] / moved[0, 0]) == pytest.approx(3.0)
