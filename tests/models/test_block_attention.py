"""Rows without padding, attended block by block, give what separate forward passes give."""

import pytest
import torch
from branch_models import WINDOW, make, naive, random_trees
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trueline.models.branches import plan, score_trees
from trueline.models.forward import block_attention, packing
from trueline.models.forward.packing import join, lay_out, worth_joining, worth_sharing
from trueline.models.forward.paths import known
from trueline.models.trees import Tree

torch.set_num_threads(1)

JOINING = [
    "llama",
    "qwen3",
    "qwen3-mixed",
    "mistral-window",
    "gemma3",
    "gpt2",
    "gpt-neox",
    "opt",
    "granite",
    "cohere",
]


@pytest.fixture(params=[3, 64])
def every_piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small trees are joined too, with few and with many of their segments in one call."""
    monkeypatch.setattr(packing, "_JOINED", 1)
    monkeypatch.setattr(block_attention, "_TOGETHER", request.param)


def apart(scored: list[list[Tensor]], expected: list[list[Tensor]]) -> float:
    """The largest difference."""
    pairs = [(a, b) for ours, theirs in zip(scored, expected) for a, b in zip(ours, theirs) if len(a)]
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


@pytest.mark.usefixtures("every_piece")
@pytest.mark.parametrize("name", JOINING)
def test_joined_rows_equal_separate_forward_passes(name: str) -> None:
    model, trees = make(name).double(), random_trees(1)
    with torch.no_grad():
        expected = naive(model, trees)
        for path in ("auto", "tree"):
            for budget in (8192, 130):
                work = plan(model, trees, path=path, token_budget=budget)  # type: ignore[arg-type]
                assert any(batch.joined for batch in work.batches)
                scored = score_trees(model, trees, path=path, token_budget=budget)  # type: ignore[call-overload]
                assert apart(scored, expected) <= 1e-9
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.usefixtures("every_piece")
def test_what_outgrows_a_sliding_window_is_not_joined() -> None:
    model = make("mistral-window")
    trees = [Tree(trunk=(5,) * (WINDOW - 4), branches=((6,) * n,)) for n in (4, 5, 6)]
    batches = plan(model, trees).batches
    joined = [piece for batch in batches if batch.joined for row in batch.rows for piece in row]
    assert sorted(piece.reach for piece in joined) == [WINDOW - 1, WINDOW]


@pytest.mark.usefixtures("every_piece")
@pytest.mark.parametrize("name", ["llama", "gpt2", "cohere"])
def test_gradients_of_joined_rows(name: str) -> None:
    model, trees = make(name).double(), random_trees(2)
    generator = torch.Generator().manual_seed(0)
    weights = [[torch.randn(len(b), generator=generator).double() for b in tree.branches] for tree in trees]

    def gradients(scored: list[list[Tensor]]) -> list[Tensor]:
        loss = sum((w * s).sum() for ws, ss in zip(weights, scored) for w, s in zip(ws, ss))
        return list(torch.autograd.grad(loss, list(model.parameters())))  # type: ignore[arg-type]

    expected, found = gradients(naive(model, trees)), gradients(score_trees(model, trees))
    scale = max(float(g.abs().max()) for g in expected)
    assert max(float((a - b).abs().max()) for a, b in zip(found, expected)) <= 1e-6 * scale


@pytest.mark.usefixtures("every_piece")
def test_joined_rows_under_bf16_autocast() -> None:
    model, trees = make("llama"), random_trees(3)
    expected = naive(model, trees)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scored = score_trees(model, trees)
    sum(logps.sum() for branches in scored for logps in branches).backward()  # type: ignore[union-attr]
    assert apart(scored, expected) < 0.2
    assert all(p.grad is not None for p in model.parameters())


def test_an_attention_that_cannot_be_replaced_is_left_alone() -> None:
    assert not known(make("gemma2")).joins  # eager, with a soft cap
    assert not known(make("mamba")).joins
    model = make("llama")
    model._supports_attention_backend = False
    assert not known(model).joins


def test_a_family_whose_columns_would_see_their_neighbours_is_caught_by_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = block_attention.blocks_of
    monkeypatch.setattr(
        block_attention,
        "blocks_of",
        lambda piece, **kinds: own(
            packing.Piece(trunk=tuple(piece.tokens()), segments=(), reads=piece.reads), **kinds
        ),
    )
    found = known(make("llama"))
    assert found.path == "tree" and not found.joins


def test_small_pieces_are_not_worth_their_calls() -> None:
    (small,) = lay_out(Tree(trunk=(1,) * 40, branches=((2,) * 20,)), 0, shared=True)
    (large,) = lay_out(Tree(trunk=(1,) * 40, branches=((2,) * 40,)), 0, shared=True)
    assert (worth_joining(small, None), worth_joining(large, None)) == (False, True)
    assert worth_joining(large, large.reach) and not worth_joining(large, large.reach - 1)


def test_in_blocks_a_short_trunk_is_worth_sharing_that_a_dense_mask_is_not() -> None:
    tree = Tree(trunk=(1,) * 40, branches=((2,) * 200,) * 2)
    assert not worth_sharing(tree, hidden=256) and worth_sharing(tree, hidden=256, joined=True)


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(1, 90))
def test_a_joined_row_has_no_padding_and_keeps_its_budget(sizes: list[int], budget: int) -> None:
    pieces = [lay_out(Tree(trunk=(1,) * n, branches=((2,),)), i, shared=True)[0] for i, n in enumerate(sizes)]
    batches = join(pieces, budget=budget)
    for batch in batches:
        (row,) = batch.rows
        assert batch.tokens == batch.real_tokens == sum(piece.length for piece in row)
        assert batch.tokens <= budget or len(row) == 1
    assert sorted(p.length for b in batches for p in b.rows[0]) == sorted(sizes)
