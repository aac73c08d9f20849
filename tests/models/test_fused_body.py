"""A decoder's layers in two halves each: the model's own numbers and gradients, and nothing where it is not the model's
own computation."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from branch_models import MODELS, make, naive, random_trees
from torch import Tensor, nn

from trueline.models.branches import final_states, score_trees
from trueline.models.forward import packing, paths
from trueline.models.forward.fused_body import can_fuse
from trueline.models.forward.fused_ops import enter, leave, rotation
from trueline.models.forward.paths import known
from trueline.models.trees import Tree
from trueline.training.adapters import with_adapters
from trueline.training.config import LoraConfig

torch.set_num_threads(1)

N, D, HEADS, KEYS, WIDTH, INNER = 5, 12, 3, 1, 4, 7


def parts(*, bias: bool) -> Any:
    """A layer's modules in fp64, random, and what goes in."""
    torch.manual_seed(0)
    sizes = {"q": (D, HEADS * WIDTH), "k": (D, KEYS * WIDTH), "v": (D, KEYS * WIDTH), "out": (HEADS * WIDTH, D),
        "gate_proj": (D, INNER), "up_proj": (D, INNER), "down_proj": (INNER, D)}  # fmt: skip
    made: dict[str, Any] = {name: nn.Linear(*size, bias=bias).double() for name, size in sizes.items()}
    made["norm"] = SimpleNamespace(weight=torch.randn(D).double().requires_grad_(), variance_epsilon=1e-5)
    made["hidden"] = torch.randn(N, D).double().requires_grad_()
    made["attended"] = torch.randn(N, HEADS * WIDTH).double().requires_grad_()
    return SimpleNamespace(**made)


def rms(hidden: Tensor, norm: Any) -> Tensor:
    scale: Tensor = (hidden.square().mean(-1, keepdim=True) + norm.variance_epsilon).sqrt()
    return hidden / scale * norm.weight


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of heads [N, H, W] as the paper's equation 34 has it."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos[:, None] + torch.cat([-second, first], dim=-1) * sin[:, None]


def gradients(found: Any, wanted: list[Tensor]) -> list[Tensor]:
    """Of a sum with fixed random weights."""
    torch.manual_seed(1)
    loss = sum((part * torch.randn(part.shape).double()).sum() for part in found)
    return list(torch.autograd.grad(loss, wanted))  # type: ignore[arg-type]


def assert_equal(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("bias", [False, True])
def test_the_entry_is_norm_projections_and_rotation(bias: bool) -> None:
    layer = parts(bias=bias)
    angles = torch.rand(N, WIDTH // 2).double() * 6
    cos, sin = (
        1.3 * table.repeat(1, 2) for table in (angles.cos(), angles.sin())
    )  # scaled, as long contexts are
    projections = (layer.q, layer.k, layer.v)
    query, key, value = enter(layer.hidden, layer.norm, projections, 2, rotation(cos, sin), WIDTH)
    normed = rms(layer.hidden, layer.norm)
    q, k, v = (p(normed).view(N, -1, WIDTH) for p in projections)
    q, k = turned(q, cos, sin), turned(k, cos, sin)
    # the order of a head's numbers is another, the same for queries and keys: products are what counts
    ours = [query @ key.transpose(1, 2), query.square().sum(-1), value]
    theirs = [q @ k.transpose(1, 2), q.square().sum(-1), v]
    assert_equal(ours, theirs)
    wanted = [layer.hidden, layer.norm.weight, *(t for p in projections for t in p.parameters())]
    assert_equal(gradients(ours, wanted), gradients(theirs, wanted))


@pytest.mark.parametrize("bias", [False, True])
def test_the_exit_is_output_sum_norm_and_gated_mlp(bias: bool) -> None:
    layer = parts(bias=bias)
    found = leave(layer.attended, layer.hidden, layer.out, layer.norm, layer)
    middle = layer.hidden + layer.out(layer.attended)
    normed = rms(middle, layer.norm)
    gated = nn.functional.silu(layer.gate_proj(normed)) * layer.up_proj(normed)
    expected = middle + layer.down_proj(gated)
    assert_equal([found], [expected])
    linear = (layer.out, layer.gate_proj, layer.up_proj, layer.down_proj)
    wanted = [layer.hidden, layer.attended, layer.norm.weight, *(t for p in linear for t in p.parameters())]
    assert_equal(gradients([found], wanted), gradients([expected], wanted))


def llama(**changes: Any) -> Any:
    """A random Llama; fp32."""
    return make("llama", **changes)


def other(family: str) -> Any:
    """A random model of another family of the same build."""
    arguments = MODELS["llama"][1] | {"sliding_window": None}
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(
        getattr(transformers, f"{family}Config")(**arguments)
    ).eval()


FUSED = {
    "llama": llama,
    "llama, biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "llama, one head of keys": lambda: llama(num_key_value_heads=1),
    "mistral": lambda: other("Mistral"),
    "qwen2": lambda: other("Qwen2"),
}


def compared(model: Any, trees: list[Tree], path: str) -> tuple[float, float]:
    """The largest gaps of log-probabilities, and of gradients beside the largest, to separate forward passes."""
    generator = torch.Generator().manual_seed(0)
    weights = [[torch.randn(len(b), generator=generator) for b in tree.branches] for tree in trees]

    def of(scored: list[list[Tensor]]) -> tuple[Tensor, list[Tensor]]:
        loss = sum((w * s).sum() for ws, ss in zip(weights, scored) for w, s in zip(ws, ss))
        flat = torch.cat([s for ss in scored for s in ss]).detach()
        return flat, list(torch.autograd.grad(loss, list(model.parameters())))  # type: ignore[arg-type]

    found, ours = of(score_trees(model, trees, path=path))  # type: ignore[call-overload]
    expected, theirs = of(naive(model, trees))
    scale = max(float(g.abs().max()) for g in theirs)
    gap = max(float((a - b).abs().max()) for a, b in zip(ours, theirs)) / scale
    return float((found - expected).abs().max()), gap


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("path", ["auto", "tree", "flat"])
@pytest.mark.parametrize("name", FUSED)
def test_log_probabilities_and_gradients_are_the_models_own(
    name: str, path: str, joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_JOINED", 1 if joined else 10_000)
    model = FUSED[name]()
    assert known(model).fuses
    logps, gradient = compared(model, random_trees(2), path)
    assert logps < 1e-4 and gradient < 1e-5


def test_states_at_last_tokens_alone() -> None:
    model, trees = llama(), random_trees(4)
    for tree, branches in zip(trees, final_states(model, trees)):
        for branch, state in zip(tree.branches, branches):
            ids = torch.tensor([tree.trunk + branch])
            expected = model.base_model(input_ids=ids, use_cache=False)[0][0, -1]
            torch.testing.assert_close(state, expected, rtol=0, atol=1e-4)


def test_what_is_frozen_gets_no_gradient() -> None:
    model = llama()
    score_trees(model, random_trees(1))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("q_proj" in name or "up_proj" in name)
    sum(s.sum() for ss in score_trees(model, random_trees(1)) for s in ss).backward()  # type: ignore[union-attr]
    assert {"q_proj" in n or "up_proj" in n for n, p in model.named_parameters() if p.grad is not None} == {
        True
    }
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def _hooked(model: Any) -> None:
    model.model.layers[1].mlp.register_forward_hook(lambda *_: None)


def _replaced(model: Any) -> None:
    norm = model.model.norm
    norm.forward = norm.forward


def _swapped(model: Any) -> None:
    model.model.layers[0].mlp.act_fn = nn.GELU()


def _adapted(model: Any) -> None:
    with_adapters(model, LoraConfig(rank=2), seed=0)


@pytest.mark.parametrize("change", [_hooked, _replaced, _swapped, _adapted])
def test_a_model_that_was_changed_runs_its_own_way(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    assert known(model).fuses
    change(model)
    assert not can_fuse(model.base_model)
    monkeypatch.setattr(paths, "_run_fused", lambda *_: pytest.fail("it was run fused"))
    score_trees(model, random_trees(1))


@pytest.mark.parametrize("name", ["qwen3", "mistral-window", "gemma3", "gpt2", "granite", "cohere"])
def test_other_families_run_their_own_way(name: str) -> None:
    assert not known(make(name)).fuses


def test_other_precisions_run_their_own_way() -> None:
    assert not known(llama().double()).fuses and not known(llama().bfloat16()).fuses


def test_a_layer_that_computes_something_else_is_caught_by_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    own = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: 1.1 * own(self, x))
    model = llama()
    assert can_fuse(model.base_model) and not known(model).fuses
