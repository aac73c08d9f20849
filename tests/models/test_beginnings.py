"""What branches share at their beginnings is computed once, and changes no number."""

import itertools

import pytest
import torch
from branch_models import WINDOW, make, naive
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trueline.models.branches import plan, score_trees
from trueline.models.forward import block_attention, packing
from trueline.models.forward.beginnings import Segment, apart, folded, last_below
from trueline.models.forward.packing import lay_out, worth_sharing
from trueline.models.forward.readers import entropy, log_probability, vocabulary_moments
from trueline.models.trees import Tree

torch.set_num_threads(1)

lines = st.lists(st.lists(st.integers(0, 2), max_size=5).map(tuple), max_size=9)
# the digits of codes, beside a short one, an equal one and one of its own that outgrows a sliding window
CODES = [(9, *code) for code in itertools.product((3, 4, 5), repeat=4)]
TREES = [
    Tree(trunk=tuple(range(5, 15)), branches=(*CODES, (9,), (), CODES[4], tuple(range(10, 15 + 2 * WINDOW)))),
    Tree(trunk=(5, 6), branches=((7, 8, 9), (7, 8, 4), (7, 8))),
]


def test_the_example() -> None:
    found = folded([(4, 0, 7), (4, 0, 2), (4, 5)])
    assert found.segments == (
        Segment(tokens=(4,)),
        Segment(tokens=(0,), above=1, before=1),
        Segment(tokens=(2,), above=2, before=2),
        Segment(tokens=(7,), above=2, before=2),
        Segment(tokens=(5,), above=1, before=1),
    )
    assert found.paths == ((1, 2, 4), (1, 2, 3), (1, 5))
    assert last_below(found.segments) == [5, 5, 4, 3, 4, 5]


@given(lines)
def test_paths_spell_the_lines_and_every_shared_beginning_is_there_once(
    given_lines: list[tuple[int, ...]],
) -> None:
    for kind in (folded, apart):
        found = kind(given_lines)
        for line, path in zip(given_lines, found.paths, strict=True):
            parts = [found.segments[number - 1] for number in path]
            assert sum((part.tokens for part in parts), ()) == line
            assert [part.above for part in parts] == [0, *path][: len(path)]
            assert [part.before for part in parts] == [
                sum(len(p.tokens) for p in parts[:n]) for n in range(len(parts))
            ]
    beginnings = {line[:end] for line in given_lines for end in range(1, len(line) + 1)}
    assert sum(len(segment.tokens) for segment in folded(given_lines).segments) == len(beginnings)


def test_positions_go_on_from_what_is_above() -> None:
    tree = Tree(trunk=(1, 2), branches=((3, 4, 5), (3, 6, 7), (3, 4, 8)))
    (piece,) = lay_out(tree, 0, shared=True, fold=True)
    assert list(piece.tokens()) == [1, 2, 3, 4, 6]
    assert list(piece.positions()) == [0, 1, 2, 3, 3]
    assert [read.columns for read in piece.reads] == [(1, 2, 3), (1, 2, 4), (1, 2, 3)]
    assert piece.reach == 4


@pytest.mark.parametrize("together", [1, 7, 64])
@pytest.mark.parametrize("name", ["llama", "qwen3-mixed", "mistral-window", "gpt2", "gemma2", "bloom"])
def test_scores_equal_those_of_separate_forward_passes(
    name: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_attention, "_TOGETHER", together)
    monkeypatch.setattr(packing, "_JOINED", 20)
    model = make(name).double()
    tolerance = {"gemma2": 1e-6, "bloom": 1e-6}.get(name, 1e-9)
    with torch.no_grad():
        expected, found = naive(model, TREES), score_trees(model, TREES)
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def test_readers_of_columns_in_common_see_what_they_would_see_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.models.forward.heads.CPU_CHUNK", 97 * 3)
    model, readers = make("llama").double(), [log_probability, entropy, vocabulary_moments]
    with torch.no_grad():
        together = score_trees(model, TREES, readers=readers)
    under_gradients = score_trees(model, TREES, readers=readers)
    for a, b in zip(_flat(together), _flat(under_gradients), strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=0, atol=1e-9)


def test_a_prefix_goes_before_folded_branches() -> None:
    from trueline.models.forward.shared_prefix import read_prefix, without

    model = make("llama").double()
    with torch.no_grad():
        prefix = read_prefix(model, TREES[0].trunk[:6], torch.device("cpu"))
        (found,), (expected,) = (
            score_trees(model, [without(TREES[0], 6)], prefix=prefix),
            naive(model, TREES[:1]),
        )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_all_codes_of_four_digits_cost_their_beginnings() -> None:
    model = make("llama")
    tree = Tree(
        trunk=(1,) * 20, branches=tuple((9, *code) for code in itertools.product(range(10, 20), repeat=4))
    )
    assert plan(model, [tree], fold=True).tokens == 20 + 1 + 10 + 100 + 1000
    assert plan(model, [tree]).tokens == 20 + 4 * 10_000


def test_shared_beginnings_make_a_row_worth_sharing() -> None:
    tree = Tree(trunk=(1,) * 5, branches=tuple((2,) * 200 + (n, n) for n in range(4)))
    assert worth_sharing(tree, hidden=256, fold=True) and not worth_sharing(tree, hidden=256)


def _flat(values: object) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    assert isinstance(values, list | tuple)
    return [tensor for value in values for tensor in _flat(value)]
