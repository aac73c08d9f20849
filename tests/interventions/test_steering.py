"""Adding a vector and ablating a direction: the arithmetic, and that it is exact in every batch."""

import asyncio

import pytest
import torch
from small_models import FAMILIES, direction, make, target

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Sampling
from trueline.interventions.steering import AblateDirection, AddVector, ablated
from trueline.models.forward.layers import layers_of, watched

TOKENS = torch.tensor([[5, 9, 31, 7, 22]])


def test_ablation_by_hand():
    # r̂ = (0.6, 0.8), h = (1, 2): r̂ᵀh = 2.2, h − 2.2 r̂ = (−0.32, 0.24); half of it: (0.34, 1.12)
    h, r = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0, 4.0])
    assert ablated(h, r)[0].tolist() == pytest.approx([-0.32, 0.24], abs=1e-6)
    assert ablated(h, r, scale=0.5)[0].tolist() == pytest.approx([0.34, 1.12], abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_vector_is_added_after_its_layer_and_nowhere_before(family):
    model, vector = make(family), direction()
    with watched(model, (0, 1, 2), stop=False) as plain:
        model(TOKENS)
    with (
        AddVector(vector=vector, layer=1, scale=-2.0).entered(model),
        watched(model, (0, 1, 2), stop=False) as steered,
    ):
        model(TOKENS)
    assert torch.equal(steered[0], plain[0])
    assert torch.allclose(steered[1], plain[1] - 2.0 * vector, atol=1e-5)
    assert not torch.allclose(steered[2], plain[2])
    assert not layers_of(model)[1]._forward_hooks


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_nothing_of_an_ablated_direction_is_left_in_any_layer(family):
    model, r = make(family, torch.float64), direction(dtype=torch.float64)
    with AblateDirection(direction=r).entered(model), watched(model, (0, 1, 2), stop=False) as kept:
        model(TOKENS)
    for states in kept.values():
        assert float((states @ (r / r.norm())).abs().max()) < 1e-9 * float(states.abs().max())


@torch.no_grad()
def test_ablation_equals_weights_that_cannot_write_the_direction():
    # section 4.1 of the paper: W ← W − r̂ r̂ᵀW for every matrix that writes to the residual stream
    model, r = make(dtype=torch.float64), direction(dtype=torch.float64)
    with AblateDirection(direction=r).entered(model):
        hooked = model(TOKENS).logits
    unit = r / r.norm()
    head = model.lm_head.weight.clone()
    model.model.embed_tokens.weight -= (model.model.embed_tokens.weight @ unit)[:, None] * unit
    for layer in model.model.layers:
        for matrix in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
            matrix -= unit[:, None] * (unit @ matrix)
    model.lm_head.weight = torch.nn.Parameter(head)
    assert torch.allclose(hooked, model(TOKENS).logits, atol=1e-9)


def test_steered_and_plain_requests_interleaved_equal_separate_runs():
    plain = target()
    targets = (
        plain,
        plain.with_intervention(AddVector(vector=direction(), layer=0, scale=3.0)),
        plain.with_intervention(AblateDirection(direction=direction(seed=2))),
    )
    settings = Sampling(max_tokens=6, temperature=1.0, samples=2)
    prompts = [f"w{n} w{n + 3}" for n in range(4)]

    async def both(t, p):
        return *await t.generate(p, settings), *await t.score(p, [" w1 w2", " w9"])

    async def mixed():
        return await asyncio.gather(*(both(t, p) for p in prompts for t in targets))

    together = asyncio.run(mixed())
    alone = [asyncio.run(both(t, p)) for p in prompts for t in targets]
    for a, b in zip(together, alone, strict=True):
        for x, y in zip(a, b, strict=True):
            if isinstance(x, Completion):
                assert x.token_ids == y.token_ids
                assert x.logprobs == pytest.approx(y.logprobs, abs=1e-4)
            else:
                assert x.token_logprobs == pytest.approx(y.token_logprobs, abs=1e-4)
    scores = [[round(s.logprob, 3) for s in asyncio.run(t.score("w5", [" w1 w2"]))] for t in targets]
    assert len({tuple(s) for s in scores}) == 3


def test_keys_follow_every_setting():
    v, w = direction(), direction(seed=2)
    keys = {
        AddVector(vector=v, layer=0).key,
        AddVector(vector=w, layer=0).key,
        AddVector(vector=v, layer=1).key,
        AddVector(vector=v, layer=0, scale=2.0).key,
        AblateDirection(direction=v).key,
        AblateDirection(direction=v, scale=0.5).key,
    }
    assert len(keys) == 6
    assert AddVector(vector=v.clone(), layer=0).key == AddVector(vector=v, layer=0).key


def test_a_layer_that_is_not_there_is_refused():
    with (
        pytest.raises(InputError, match="layer 3 is not there: this model has 3, numbered 0 to 2"),
        AddVector(vector=direction(), layer=3).entered(make()),
    ):
        pass
