"""Branch scoring equals the naive computation, on every family, on both paths."""

import pytest
import torch
from branch_models import MODELS, WINDOW, make, naive, random_trees
from torch import Tensor

from trueline.core.errors import InputError
from trueline.models.branches import (
    BranchScorer,
    Tree,
    choose_path,
    final_states,
    plan,
    predicting_states,
    score_trees,
)
from trueline.models.forward import paths
from trueline.models.forward.masks import Layers

torch.set_num_threads(1)

TREE = ["llama", "qwen3", "qwen3-mixed", "mistral-window", "gemma2", "gemma3", "gpt2", "gpt-neox", "opt"]
TREE += ["granite", "cohere"]
FLAT = ["mamba", "lfm2", "bloom", "gpt-neo"]
# Where attention runs eagerly its softmax is fp32 even in an fp64 model; Mamba's scan keeps fp32 state too.
FP64 = {"gemma2": 1e-6, "bloom": 1e-6, "gpt-neo": 1e-6, "mamba": 1e-5}


def gap(scored: list[list[Tensor]], expected: list[list[Tensor]]) -> float:
    """Largest difference over all trees and branches, whose lengths must agree."""
    largest = 0.0
    for ours, theirs in zip(scored, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            largest = max([largest, *(a - b).abs().flatten().tolist()])
    return largest


@pytest.mark.parametrize("name", MODELS)
def test_both_paths_equal_separate_forward_passes(name: str) -> None:
    trees = random_trees(1)
    assert max(len(t.trunk) + len(b) for t in trees for b in t.branches) > 3 * WINDOW
    for dtype, tolerance in ((torch.float64, FP64.get(name, 1e-9)), (torch.float32, 1e-4)):
        model = make(name).to(dtype)
        assert choose_path(model)[0] == ("tree" if name in TREE else "flat")
        with torch.no_grad():
            expected = naive(model, trees)
            for path in ("auto", "tree", "flat") if name in TREE else ("auto", "flat"):
                for budget in (8192, 130):
                    scored = score_trees(model, trees, path=path, token_budget=budget)
                    assert gap(scored, expected) <= tolerance, (dtype, path, budget)
                    assert {logps.dtype for row in scored for logps in row} == {dtype}


def test_every_model_is_on_one_list() -> None:
    assert sorted(TREE + FLAT) == sorted(MODELS)


@pytest.mark.parametrize("name", ["qwen3-mixed", "gemma2", "gemma3", "mistral-window"])
def test_one_mask_for_all_kinds_of_layer_would_be_wrong(name: str) -> None:
    """The reason for masks by kind: with the window left out, or one off, scores move by far more than
    noise."""
    model, trees = make(name).double(), random_trees(1)
    with torch.no_grad():
        expected = naive(model, trees)
        known = paths.known(model)
        assert known.layers is not None
        right = known.layers.windows
        for windows in (dict.fromkeys(right), {k: w and w - 1 for k, w in right.items()}):
            (key,) = paths._paths[model]
            paths._paths[model][key] = paths.Known(path="tree", reason="", layers=Layers(windows=windows))
            assert gap(score_trees(model, trees, path="tree"), expected) > 0.05


@pytest.mark.parametrize("name", ["llama", "qwen3-mixed", "gpt2", "cohere", "gemma2"])
@pytest.mark.parametrize("path", ["tree", "flat"])
def test_gradients_equal_those_of_separate_forward_passes(name: str, path: str) -> None:
    model, trees = make(name).double(), random_trees(2)
    generator = torch.Generator().manual_seed(0)
    weights = [[torch.randn(len(b), generator=generator).double() for b in tree.branches] for tree in trees]

    def gradients(scored: list[list[Tensor]]) -> list[Tensor]:
        loss = sum((w * s).sum() for ws, ss in zip(weights, scored) for w, s in zip(ws, ss))
        return list(torch.autograd.grad(loss, list(model.parameters())))  # type: ignore[arg-type]

    expected = gradients(naive(model, trees))
    found = gradients(score_trees(model, trees, path=path))  # type: ignore[call-overload]
    scale = max(float(g.abs().max()) for g in expected)
    # RMSNorm runs in fp32 even in an fp64 model, so only GPT-2 can agree to fp64.
    tolerance = 1e-10 if name == "gpt2" else 1e-6
    assert max(float((a - b).abs().max()) for a, b in zip(found, expected)) <= tolerance * scale


def test_a_tree_and_a_row_each_agree_under_bf16_autocast() -> None:
    model, trees = make("llama"), random_trees(3)
    expected = naive(model, trees)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scored = score_trees(model, trees)
    sum(logps.sum() for branches in scored for logps in branches).backward()  # type: ignore[union-attr]
    assert {logps.dtype for branches in scored for logps in branches} == {torch.float32}
    assert gap(scored, expected) < 0.2
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


def test_a_bf16_model_gives_fp32_log_probabilities() -> None:
    model, trees = make("qwen3-mixed"), random_trees(3)
    with torch.no_grad():
        expected = naive(model, trees)
        scored = score_trees(model.bfloat16(), trees, path="tree")
    assert {logps.dtype for branches in scored for logps in branches} == {torch.float32}
    assert gap(scored, expected) < 0.5
    assert all(float(logps.max()) <= 0 for branches in scored for logps in branches if len(logps))


def test_the_plan_says_what_is_shared_and_what_it_saves() -> None:
    model = make("llama")
    tree = Tree(trunk=(5,) * 300, branches=((6,) * 10,) * 4)
    work = plan(model, [tree, Tree(trunk=(5,), branches=((6,) * 40,))])
    assert (work.shared_trees, work.flat_trees) == (1, 1)
    assert (work.tokens, work.padding, work.separate_tokens) == (300 + 4 * 9 + 40, 0, 4 * 310 + 41)
    assert "1 trees share their trunk" in work.describe() and "sdpa" in work.reason


def test_paths_name_their_reasons() -> None:
    assert "linear_attention" in choose_path(make("mamba"))[1]
    assert "conv" in choose_path(make("lfm2"))[1]
    assert "columns" in choose_path(make("gpt-neo"))[1]
    assert "layers" not in choose_path(make("llama"))[1]


def test_a_family_that_ignores_its_mask_is_caught_by_the_probe() -> None:
    model = make("llama")
    body_forward = model.model.forward

    def forward(*, attention_mask: object = None, position_ids: object = None, **rest: object) -> object:
        return body_forward(position_ids=position_ids, **rest)

    model.model.forward = forward
    path, reason = choose_path(model)
    assert path == "flat" and "probe" in reason
    with pytest.raises(InputError, match="not exact on this model"):
        score_trees(model, random_trees(0), path="tree")


def test_a_head_that_is_not_understood_is_refused() -> None:
    model = make("llama")
    forward = model.forward

    def warped(**arguments: object) -> object:
        output = forward(**arguments)
        output.logits = output.logits**3
        return output

    model.forward = warped
    with pytest.raises(InputError, match="not its head's output"):
        score_trees(model, random_trees(0))


def test_the_probe_leaves_training_mode_as_it_was() -> None:
    model = make("llama").train()
    model.model.layers[0].eval()
    choose_path(model)
    assert model.training and model.model.layers[1].mlp.training and not model.model.layers[0].mlp.training


def test_states_at_predicting_positions_and_at_the_last_token() -> None:
    model, trees = make("gemma3").double(), random_trees(4)
    with torch.no_grad():
        predicting, final = predicting_states(model, trees, path="tree"), final_states(model, trees)
        for tree, many, last in zip(trees, predicting, final, strict=True):
            for branch, states, state in zip(tree.branches, many, last, strict=True):
                whole = model.model(input_ids=torch.tensor([tree.trunk + branch]), use_cache=False)[0][0]
                expected = whole[len(tree.trunk) - 1 :]
                assert states.shape == (len(branch), 32)
                torch.testing.assert_close(states, expected[:-1], rtol=0, atol=1e-9)
                torch.testing.assert_close(state, expected[-1], rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_a_lora_adapter_is_scored_and_trained() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "lm_head"], init_lora_weights=False)
    model = peft.get_peft_model(make("llama"), config).eval()
    trees = random_trees(5)
    scored = BranchScorer(model)(trees)
    assert gap(scored, naive(model, trees)) <= 1e-4
    sum(logps.sum() for branches in scored for logps in branches).backward()  # type: ignore[union-attr]
    grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert grads and all(g is not None and bool(g.abs().sum() > 0) for g in grads.values())
    with model.disable_adapter(), torch.no_grad():
        plain = score_trees(model, trees)
    assert gap(plain, naive(make("llama"), trees)) <= 1e-4


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (Tree(trunk=(5,) * 512, branches=((6, 7),)), "513 positions.*has 512"),
        (Tree(trunk=(5, 97), branches=((6,),)), "token 97 is outside"),
        (Tree(trunk=(5,), branches=((6, -100),)), "token -100 is outside"),
    ],
)
def test_what_would_index_out_of_a_table_is_refused(tree: Tree, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_trees(make("gpt2"), [tree])


def test_unknown_options_are_refused() -> None:
    model, trees = make("llama"), random_trees(0)
    with pytest.raises(InputError, match="unknown path 'trie'"):
        score_trees(model, trees, path="trie")  # type: ignore[call-overload]
    with pytest.raises(InputError, match="token_budget is 0"):
        score_trees(model, trees, token_budget=0)
    with pytest.raises(InputError, match="no branches"):
        Tree(trunk=(1,), branches=())
    with pytest.raises(InputError, match="no language-model head"):
        score_trees(model.model, trees)


def test_nothing_to_score_gives_nothing() -> None:
    assert score_trees(make("llama"), []) == []
