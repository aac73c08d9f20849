"""Distillation: the divergence by hand and against trl's, the gradient against a naive one, splits of a step."""

import math
from dataclasses import replace

import pytest
import torch
from training_models import examples, llama

from trueline.core.errors import InputError
from trueline.training.batches import SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.distillation import GKDObjective, TeacherDivergence, generalized_jsd, with_teacher
from trueline.training.loop import train

ONCE = TrainingConfig(learning_rate=1e-2, warmup=0.0, batch_size=6, steps=1, max_grad_norm=1e9)


def test_the_divergence_by_hand():
    # teacher (.5, .5), student (.9, .1)
    teacher, student = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)  # 0.510826
    reverse = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)  # 0.368064
    assert float(generalized_jsd(student, teacher, beta=0)) == pytest.approx(forward, abs=1e-6)
    assert float(generalized_jsd(student, teacher, beta=1)) == pytest.approx(reverse, abs=1e-6)
    # β = ½: M = (.7, .3); ½ (.5 log(.5/.7) + .5 log(.5/.3)) + ½ (.9 log(.9/.7) + .1 log(.1/.3)) = 0.101749
    assert float(generalized_jsd(student, teacher, beta=0.5)) == pytest.approx(0.101749, abs=1e-6)
    assert float(generalized_jsd(teacher, teacher, beta=0.3)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_divergence_is_trls(beta, temperature):
    pytest.importorskip("trl", reason="needs the extra dev: pip install 'trueline[dev]'")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.gkd import GKDTrainer

    torch.manual_seed(0)
    student, teacher = (
        torch.randn(2, 7, 50, dtype=torch.float64) * 3,
        torch.randn(2, 7, 50, dtype=torch.float64),
    )
    labels = torch.ones(2, 7, dtype=torch.long)
    labels[0, :3] = -100
    theirs = GKDTrainer.generalized_jsd_loss(
        student, teacher, labels=labels, beta=beta, temperature=temperature
    )
    kept = labels != -100
    ours = generalized_jsd(student[kept], teacher[kept], beta=beta, temperature=temperature).mean()
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)


def taught(beta, weights=None):
    teacher = llama(torch.float64, seed=5, hidden_size=48).requires_grad_(False)
    data = examples(6, 1)
    if weights:
        data = [replace(e, facts={"weight": (w,)}) for e, w in zip(data, weights)]
    made = with_teacher(teacher, data, token_budget=40)
    divergence = TeacherDivergence(teacher, key="t", beta=beta, temperature=1.0)
    return teacher, made, GKDObjective(divergence=divergence, beta=beta)


def naive(student, teacher, data, beta, weights):
    losses, tokens = [], 0
    for example, weight in zip(data, weights):
        ids = torch.tensor([example.tree.trunk + example.tree.branches[0]])
        at = slice(len(example.tree.trunk) - 1, -1)
        q, p = (torch.softmax(model(input_ids=ids).logits[0, at], -1) for model in (student, teacher))
        m = beta * p + (1 - beta) * q
        losses.append(weight * (beta * (p * (p / m).log()) + (1 - beta) * (q * (q / m).log())).sum())
        tokens += len(example.tree.branches[0])
    return sum(losses) / tokens


@pytest.mark.parametrize(("budget", "path"), [(10_000, "tree"), (40, "tree"), (1, "tree"), (10_000, "flat")])
def test_loss_and_gradient_are_the_naive_ones_however_the_step_is_split(budget, path):
    weights = [1.0, 3.0, 1.0, 0.5, 2.0, 1.0]
    teacher, data, objective = taught(0.3, weights)
    plain, model, kept = llama(torch.float64, seed=1), llama(torch.float64, seed=1), {}
    loss = naive(plain, teacher, data, 0.3, weights)
    loss.backward()
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: kept.__setitem__(name, p.grad.detach().clone())
        )
    batches = SeededBatches(kind="sequences", examples=data, batch_size=6, limit=1)
    run = train(model, batches, objective, replace(ONCE, token_budget=budget), path=path)
    assert run.history[0]["loss"] == pytest.approx(float(loss.detach()), abs=1e-6)
    for name, parameter in plain.named_parameters():
        assert torch.allclose(kept[name], parameter.grad, rtol=1e-5, atol=1e-6), name
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_of_another_vocabulary_is_refused():
    _, data, objective = taught(0.5)
    batches = SeededBatches(kind="sequences", examples=data, batch_size=6, limit=1)
    with pytest.raises(InputError, match="vocabulary has 41 tokens and the student's 43"):
        train(llama(torch.float64, vocab_size=43), batches, objective, ONCE)
