"""Readers against worked arithmetic, and the chunked head against one that holds all logits."""

from typing import Any

import pytest
import torch
from branch_models import make, random_trees
from torch import Tensor, nn

from trueline.models.branches import score_trees
from trueline.models.forward import heads
from trueline.models.forward.heads import Head, LogitScaling, read_hidden
from trueline.models.forward.readers import Moments, entropy, log_probability, vocabulary_moments

torch.set_num_threads(1)


def test_readers_by_hand() -> None:
    # p = (1/2, 1/4, 1/4): log p(1) = -2 ln 2; entropy = 1.5 ln 2; mean of log p = -1.5 ln 2;
    # variance = (1/2 (1 - 1.5)^2 + 1/2 (2 - 1.5)^2) (ln 2)^2 = 0.25 (ln 2)^2
    logits = torch.tensor([[2.0, 1.0, 1.0]]).double() * torch.log(torch.tensor(2.0)).double() + 3
    target = torch.tensor([1])
    ln2 = torch.log(torch.tensor(2.0)).double()
    torch.testing.assert_close(log_probability(logits, target), -2 * ln2[None])
    torch.testing.assert_close(entropy(logits, target), 1.5 * ln2[None])
    moments = vocabulary_moments(logits, target)
    torch.testing.assert_close(moments.mean, -1.5 * ln2[None])
    torch.testing.assert_close(moments.variance, 0.25 * ln2[None] ** 2)


def test_a_token_of_probability_zero_adds_nothing() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf]])
    target = torch.tensor([0])
    torch.testing.assert_close(entropy(logits, target), torch.tensor([2.0]).log())
    assert vocabulary_moments(logits, target).variance.item() == 0


def test_several_readers_share_a_pass_and_keep_their_names() -> None:
    model, trees = make("llama").double(), random_trees(0)
    with torch.no_grad():
        alone = score_trees(model, trees)
        together = score_trees(model, trees, readers=[log_probability, entropy, vocabulary_moments])
    for plain, read in zip(alone, together, strict=True):
        for logps, (again, spread, moments) in zip(plain, read, strict=True):
            torch.testing.assert_close(again, logps, rtol=0, atol=1e-12)
            assert isinstance(moments, Moments)
            torch.testing.assert_close(moments.mean, -spread)
            assert moments.variance.shape == logps.shape


def _gradients(head: Head, reader: Any, hidden: Tensor, targets: Tensor, slopes: Tensor) -> list[Tensor]:
    (values,) = read_hidden(head, hidden, targets, [reader])
    inputs = [hidden, *head.module.parameters()]
    return [values.detach(), *torch.autograd.grad((values * slopes).sum(), inputs)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "scaling", [LogitScaling(), LogitScaling(scale=0.3), LogitScaling(scale=2.0, cap=3.0)]
)
@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("kept", [0, 5, 100])
def test_the_fused_and_the_checkpointed_head_equal_plain_autograd(
    monkeypatch: pytest.MonkeyPatch, bias: bool, scaling: LogitScaling, chunk: int, kept: int
) -> None:
    monkeypatch.setattr(heads, "CPU_CHUNK", 11 * chunk)
    monkeypatch.setattr(heads, "CPU_KEPT", 11 * kept)
    torch.manual_seed(0)
    module = nn.Linear(5, 11, bias=bias).double()
    hidden = torch.randn(9, 5).double().requires_grad_()
    targets, slopes = torch.randint(11, (9,)), torch.randn(9).double()
    head = Head(module=module, scaling=scaling, vocabulary=11)
    logps = torch.log_softmax(scaling(module(hidden)), -1)[torch.arange(9), targets]
    plain = torch.autograd.grad((logps * slopes).sum(), [hidden, *module.parameters()])
    fused = _gradients(head, log_probability, hidden, targets, slopes)
    again = _gradients(head, lambda logits, t: log_probability(logits, t), hidden, targets, slopes)
    for found in (fused, again):
        for a, b in zip(found, [logps.detach(), *plain], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_frozen_head_gets_no_gradient() -> None:
    module = nn.Linear(5, 11).requires_grad_(False)
    hidden = torch.randn(4, 5, requires_grad=True)
    head = Head(module=module, scaling=LogitScaling(), vocabulary=11)
    (logps,) = read_hidden(head, hidden, torch.tensor([1, 2, 3, 4]), [log_probability])
    logps.sum().backward()
    assert hidden.grad is not None and module.weight.grad is None
