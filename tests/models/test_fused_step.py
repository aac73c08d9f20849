"""Decoding steps without the modules' detours draw the same tokens with the same log-probabilities."""

from typing import Any

import pytest
import torch
import transformers
from branch_models import MODELS, make

from trueline.core.messages import Sampling
from trueline.models.sampling import shared_batch
from trueline.models.sampling.jobs import Draw, Job
from trueline.models.sampling.noise import stream_key
from trueline.models.sampling.sampler import Sampler
from trueline.models.sampling.sharing_check import shareable

torch.set_num_threads(1)

PROMPTS = ((5, 9, 4), (7, 3, 8, 8, 6, 40, 12))


def qwen2() -> Any:
    """A random Qwen2: biases on queries, keys and values."""
    torch.manual_seed(0)
    arguments = MODELS["llama"][1] | {"sliding_window": None}
    return transformers.AutoModelForCausalLM.from_config(transformers.Qwen2Config(**arguments)).eval()


def drawn(model: Any) -> list[tuple[Draw, ...]]:
    """Three draws of up to twelve tokens for each prompt; token 2 ends one."""
    sampling = Sampling(max_tokens=12, samples=3, seed=1)
    jobs = [
        Job(prompt=prompt, sampling=sampling, stream=stream_key(1, str(prompt)), limit=12)
        for prompt in PROMPTS
    ]
    return Sampler(model, end_tokens=frozenset({2}), decode=lambda tokens: "").draw(jobs)


@pytest.mark.parametrize("made", [lambda: make("llama"), lambda: make("llama", attention_bias=True), qwen2])
def test_the_same_draws(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made()
    with torch.no_grad():
        assert shareable(model).fused
    steps = []
    own = shared_batch.fused_step
    monkeypatch.setattr(shared_batch, "fused_step", lambda *given: steps.append(1) or own(*given))
    found = drawn(model)
    assert steps
    monkeypatch.setattr(shared_batch, "can_step", lambda _: False)
    for ours, theirs in zip(found, drawn(model), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.tokens == b.tokens and a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    assert model.config._attn_implementation == "sdpa"


def test_a_hook_is_never_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    before = drawn(model)
    monkeypatch.setattr(shared_batch, "fused_step", lambda *_: pytest.fail("it was run fused"))
    model.model.layers[1].register_forward_hook(lambda _, __, output: output * 0.5)
    assert drawn(model) != before


@pytest.mark.parametrize("name", ["qwen3", "gpt2", "granite"])
def test_other_families_step_their_own_way(name: str) -> None:
    with torch.no_grad():
        found = shareable(make(name))
    assert found.possible and not found.fused
