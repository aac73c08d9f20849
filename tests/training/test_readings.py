"""Readings share one forward pass, and each says what a separate computation says, on either path."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn
from training_models import examples, llama, naive_logps, value_llama

from trueline.core.errors import InputError
from trueline.models.trees import Tree
from trueline.training.readings import ENTROPY, LOGPS, REWARD, TOKEN_VALUES, States
from trueline.training.scoring import look_at, outputs_of

PATHS = ["tree", "flat"]
TREES = [example.tree for example in examples(5, 3)] + [Tree(trunk=(4, 5), branches=((6,), (7, 8)))]


def with_critic(dtype=torch.float64):
    model = llama(dtype)
    torch.manual_seed(1)
    model.value_head = nn.Linear(32, 1, dtype=dtype)
    return model


def whole(model, tree, branch):
    ids = torch.tensor([tree.trunk + branch])
    return model(input_ids=ids, output_hidden_states=True), len(tree.trunk), len(branch)


@pytest.mark.parametrize("path", PATHS)
def test_every_reading_equals_its_own_forward_pass(path):
    model = with_critic()
    reads = (LOGPS, ENTROPY, TOKEN_VALUES, REWARD, States(layers=(0, 1)))
    found = outputs_of(model, TREES, reads, token_budget=64, path=path)
    for e, tree in enumerate(TREES):
        for k, (branch, logps) in enumerate(zip(tree.branches, naive_logps(model, tree))):
            out, start, length = whole(model, tree, branch)
            before, own = slice(start - 1, start + length - 1), slice(start, start + length)
            chances = torch.softmax(out.logits[0, before], dim=-1)
            values = model.value_head(out.hidden_states[-1])[0, :, 0]
            # the last of transformers' hidden states is normed, so layer 1 of 2 is caught by a hook of ours
            caught = []
            handle = model.model.layers[1].register_forward_hook(lambda m, i, o, c=caught: c.append(o))
            whole(model, tree, branch)
            handle.remove()
            close = {"atol": 1e-5, "rtol": 1e-5}
            torch.testing.assert_close(found["logps"][e][k], logps, **close)
            torch.testing.assert_close(
                found["entropy"][e][k], -(chances * chances.log()).sum(-1), check_dtype=False, **close
            )
            torch.testing.assert_close(found["token_values"][e][k], values[before], **close)
            torch.testing.assert_close(found["reward"][e][k], values[own][-1:], **close)
            states = found["states"][e][k]
            torch.testing.assert_close(states[:, 0], out.hidden_states[1][0, own], **close)
            torch.testing.assert_close(states[:, 1], caught[0][0, own], **close)


@pytest.mark.parametrize("path", PATHS)
def test_reading_more_changes_no_gradient(path):
    grads = []
    for reads in ((LOGPS,), (LOGPS, ENTROPY), (LOGPS, ENTROPY, TOKEN_VALUES, REWARD, States(layers=(0,)))):
        model = with_critic()
        found = outputs_of(model, TREES, reads, token_budget=64, path=path)
        sum(b.square().sum() for branches in found["logps"] for b in branches).backward()
        grads.append(
            torch.cat([p.grad.flatten() for n, p in model.named_parameters() if "value_head" not in n])
        )
    assert float(grads[0].abs().max()) > 0.1
    for grad in grads[1:]:
        torch.testing.assert_close(grad, grads[0], atol=1e-5, rtol=1e-5)


def test_entropy_is_a_figure_without_gradient():
    found = outputs_of(llama(), TREES, (LOGPS, ENTROPY), token_budget=64)
    assert found["logps"][0][0].requires_grad and not found["entropy"][0][0].requires_grad


@pytest.mark.parametrize("path", PATHS)
def test_inner_states_alone_end_the_forward_pass_there(path):
    model, ran = llama(torch.float64), []
    everything = outputs_of(model, TREES, (LOGPS, States(layers=(0,))), token_budget=64, path=path)
    handle = model.model.layers[1].register_forward_hook(lambda *_: ran.append(1))
    alone = outputs_of(model, TREES, (States(layers=(0,)),), token_budget=64, path=path)
    assert not ran
    for e, tree in enumerate(TREES):
        for k, branch in enumerate(tree.branches):
            assert alone["states"][e][k].shape == (len(branch), 1, 32)
            torch.testing.assert_close(
                alone["states"][e][k], everything["states"][e][k], atol=1e-6, rtol=1e-6
            )
    alone["states"][0][0].sum().backward()
    assert model.model.layers[0].mlp.up_proj.weight.grad is not None
    outputs_of(model, TREES, (LOGPS,), token_budget=64, path=path)
    assert ran
    handle.remove()


@dataclass(frozen=True)
class Gap:
    """A reading from outside: the squared distance of hidden states to given ones."""

    name: ClassVar[str] = "gap"
    place: ClassVar[str] = "predicting"
    layers: ClassVar[tuple[int, ...]] = ()

    def check(self, model):
        pass

    def read(self, model, seen, given):
        return (seen.hidden - given["teacher"]).square().sum(-1)


@pytest.mark.parametrize("path", PATHS)
def test_what_examples_carry_arrives_at_its_positions(path):
    model = llama(torch.float64)
    teacher = [
        [
            whole(model, t, b)[0].hidden_states[-1][0, len(t.trunk) - 1 : len(t.trunk) + len(b) - 1]
            for b in t.branches
        ]
        for t in TREES
    ]
    shifted = [[states + 0.5 for states in branches] for branches in teacher]
    with torch.no_grad():
        found = outputs_of(
            model, TREES, (LOGPS, Gap()), token_budget=64, path=path, given={"teacher": shifted}
        )["gap"]
    for tree, branches in zip(TREES, found):
        for branch, gaps in zip(tree.branches, branches):
            # 32 hidden units, each 0.5 away
            torch.testing.assert_close(gaps, torch.full((len(branch),), 8.0).double(), atol=1e-3, rtol=0)


def test_what_a_model_does_not_have_is_refused():
    with pytest.raises(InputError, match="no value head"):
        look_at(llama(), (TOKEN_VALUES,))
    with pytest.raises(InputError, match="layer 2 is not there: this model has 2"):
        look_at(llama(), (States(layers=(2,)),))
    with pytest.raises(InputError, match="no language-model head"):
        look_at(value_llama(), (LOGPS,))
    with pytest.raises(InputError, match="each under its own name"):
        look_at(llama(), (LOGPS, LOGPS))
