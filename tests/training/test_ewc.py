"""Elastic weight consolidation: the penalty by hand, the Fisher information and the gradient against naive ones."""

from dataclasses import replace

import pytest
import torch
from training_models import examples, llama, naive_logps

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.training.adapters import with_adapters
from trueline.training.batches import SeededBatches
from trueline.training.config import LoraConfig, TrainingConfig
from trueline.training.ewc import Anchored, EWCObjective, diagonal_fisher, quadratic_penalty
from trueline.training.loop import train

ONCE = TrainingConfig(
    learning_rate=1e-2, warmup=0.0, batch_size=8, steps=1, max_grad_norm=1e9, token_budget=60
)


def held(model, key="k", fisher=None):
    anchor = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    return Anchored(anchor, fisher or {name: value.abs() + 0.1 for name, value in anchor.items()}, key)


def test_the_penalty_by_hand():
    # ½ (2 · 1² + 0.5 · 2²) = 2
    weights, anchor = {"w": torch.tensor([2.0, 0.0])}, {"w": torch.tensor([1.0, 2.0])}
    assert float(quadratic_penalty(weights, anchor, {"w": torch.tensor([2.0, 0.5])})) == 2.0


def test_the_fisher_information_is_the_mean_of_squared_gradients():
    model, data = llama(torch.float64), examples(3, 1)
    found = diagonal_fisher(model, data)
    expected = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    for example in data:
        model.zero_grad()
        naive_logps(model, example.tree)[0].sum().backward()
        for name, parameter in model.named_parameters():
            expected[name] += parameter.grad.square() / 3
    for name in expected:
        assert torch.allclose(found[name], expected[name], rtol=1e-5, atol=1e-8), name


def batches(data):
    return SeededBatches(kind="sequences", examples=data, batch_size=8, limit=1)


def one_step(model, data, objective, budget, path="tree"):
    """The run of one step, and each parameter's gradient in it."""
    kept = {}
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: kept.__setitem__(name, p.grad.detach().clone())
        )
    return train(model, batches(data), objective, replace(ONCE, token_budget=budget), path=path), kept


def test_loss_and_gradient_are_the_naive_ones_however_the_step_is_split():
    data, start = examples(8, 1), llama(torch.float64, seed=0)
    anchored = held(start)
    objective = EWCObjective(held=anchored, strength=0.3)
    plain = llama(torch.float64, seed=1)
    named = dict(plain.named_parameters())
    likelihood = torch.cat([naive_logps(plain, example.tree)[0] for example in data]).mean()
    penalty = sum((anchored.fisher[n] * (named[n] - anchored.anchor[n]) ** 2).sum() for n in named)
    loss = -likelihood + 0.15 * penalty
    loss.backward()
    for budget, path in ((10_000, "tree"), (60, "tree"), (1, "tree"), (10_000, "flat")):
        run, kept = one_step(llama(torch.float64, seed=1), data, objective, budget, path)
        assert run.history[0]["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
        assert run.history[0]["penalty"] == pytest.approx(float(0.15 * penalty.detach()), rel=1e-6)
        for name, parameter in plain.named_parameters():
            assert torch.allclose(kept[name], parameter.grad, rtol=1e-5, atol=1e-6), name


def test_at_the_anchor_there_is_no_penalty_and_a_strong_one_holds():
    ends = []
    for strength in (0.0, 1e3):
        model = llama()
        objective = EWCObjective(held=held(llama()), strength=strength)
        config = replace(ONCE, steps=6, learning_rate=3e-3)
        data = SeededBatches(kind="sequences", examples=examples(8, 1), batch_size=8, limit=6)
        run = train(model, data, objective, config)
        assert run.history[0]["penalty"] == 0.0
        start = dict(llama().named_parameters())
        ends.append(sum(float((p - start[n]).detach().square().sum()) for n, p in model.named_parameters()))
    assert ends[1] < 0.5 * ends[0]


def test_adapters_and_impossible_settings_are_refused():
    model = with_adapters(llama(), LoraConfig(rank=2), seed=0)
    with pytest.raises(InputError, match="without adapters"):
        train(model, batches(examples(8, 1)), EWCObjective(held=held(llama()), strength=1.0), ONCE)
    with pytest.raises(InputError, match="strength -1"):
        EWCObjective(held=held(llama()), strength=-1)
    with pytest.raises(InputError, match="some safe answers"):
        diagonal_fisher(llama(), [])


def test_an_objective_is_another_one_with_another_anchor():
    prints = {fingerprint(EWCObjective(held=held(llama(), key), strength=1.0)) for key in "aab"}
    assert len(prints) == 2
