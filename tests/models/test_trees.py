"""The cut between prompt and continuations, and rows that hold every token they must and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.models.forward.packing import Batch, lay_out, pack, worth_sharing
from trueline.models.trees import Tree, build_tree

tokens = st.lists(st.integers(0, 3), max_size=6).map(tuple)
trees = st.builds(
    lambda trunk, branches: Tree(trunk=trunk, branches=tuple(branches)),
    tokens.filter(len),
    st.lists(tokens, min_size=1, max_size=4),
)


def test_the_trunk_is_the_whole_prompt_when_nothing_merges() -> None:
    tree = build_tree([(1, 5, 6, 7), (1, 5, 8)], prompt=(1, 5))
    assert tree == Tree(trunk=(1, 5), branches=((6, 7), (8,)))


def test_tokens_that_merge_over_the_boundary_belong_to_the_answer() -> None:
    # the prompt ends in token 5, but "5 then 9" is one token, 59, in one of the wholes
    tree = build_tree([(1, 4, 59), (1, 4, 5, 8)], prompt=(1, 4, 5))
    assert tree == Tree(trunk=(1, 4), branches=((59,), (5, 8)))


def test_a_prefix_common_to_all_wholes_but_not_in_the_prompt_is_scored() -> None:
    assert build_tree([(1, 7, 8), (1, 7, 9)], prompt=(1,)).branches == ((7, 8), (7, 9))


def test_an_empty_continuation_is_an_empty_branch() -> None:
    assert build_tree([(1, 2)], prompt=(1, 2)).branches == ((),)


@pytest.mark.parametrize(("wholes", "prompt"), [([(3, 4)], ()), ([(3, 4)], (5,)), ([], (1,))])
def test_nothing_to_predict_from_is_refused(wholes: list[tuple[int, ...]], prompt: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"beginning-of-sequence|at least one"):
        build_tree(wholes, prompt)


@given(tokens.filter(len), st.lists(tokens, min_size=1, max_size=4))
def test_trunk_and_branch_make_the_whole(prompt: tuple[int, ...], answers: list[tuple[int, ...]]) -> None:
    tree = build_tree([prompt + answer for answer in answers], prompt)
    assert tree.trunk == prompt
    assert [tree.trunk + branch for branch in tree.branches] == [prompt + answer for answer in answers]


@given(st.lists(trees, max_size=8), st.integers(1, 40), st.booleans(), st.booleans())
def test_every_branch_is_read_once_after_its_own_trunk(
    given_trees: list[Tree], budget: int, shared: bool, final: bool
) -> None:
    reading = "final" if final else "predicting"
    pieces = [p for n, t in enumerate(given_trees) for p in lay_out(t, n, shared=shared, reading=reading)]
    batches = pack(pieces, budget=budget, masked=shared)
    seen = set()
    for batch in batches:
        assert batch.tokens <= budget or len(batch.rows) == 1
        for row in batch.rows:
            assert sum(piece.length for piece in row) <= batch.width
            assert shared or len(row) == 1
            for piece in row:
                assert shared or len(piece.segments) <= 1
                _check_reads(given_trees, piece.reads, list(piece.tokens()), final)
                seen |= {(read.tree, read.branch) for read in piece.reads}
    reads = [(n, k) for n, tree in enumerate(given_trees) for k in range(len(tree.branches))]
    assert sorted(seen) == reads
    assert sum(len(piece.reads) for batch in batches for row in batch.rows for piece in row) == len(reads)


def _check_reads(given_trees: list[Tree], reads: tuple, row: list[int], final: bool) -> None:  # type: ignore[type-arg]
    for read in reads:
        tree = given_trees[read.tree]
        branch = tree.branches[read.branch]
        expected = (tree.trunk[-1], *branch)
        wanted = expected[-1:] if final else expected[:-1]
        assert tuple(row[column] for column in read.columns) == wanted


def test_positions_restart_at_each_branch() -> None:
    (piece,) = lay_out(Tree(trunk=(1, 2), branches=((3, 4, 5), (6, 7), (8,))), 0, shared=True)
    assert list(piece.tokens()) == [1, 2, 3, 4, 6]
    assert list(piece.positions()) == [0, 1, 2, 3, 2]
    assert list(piece.parts()) == [0, 0, 1, 1, 2]


def test_one_token_options_cost_their_trunk_alone() -> None:
    tree = Tree(trunk=tuple(range(100)), branches=((1,), (2,), (3,), (4,)))
    for shared in (True, False):
        assert [piece.length for piece in lay_out(tree, 0, shared=shared)] == [100]


def test_a_long_trunk_is_worth_sharing_and_a_short_one_before_long_answers_is_not() -> None:
    assert worth_sharing(Tree(trunk=(1,) * 300, branches=((2,) * 10,) * 4), hidden=256)
    assert not worth_sharing(Tree(trunk=(1,) * 5, branches=((2,) * 400,) * 4), hidden=256)
    assert not worth_sharing(Tree(trunk=(1,) * 300, branches=((2,) * 10,)), hidden=256)


def test_short_trees_fill_the_gaps_of_a_masked_row() -> None:
    sizes = [90, 40, 30, 20]
    pieces = [lay_out(Tree(trunk=(1,) * n, branches=((2,),)), i, shared=True)[0] for i, n in enumerate(sizes)]
    (batch,) = pack(pieces, budget=8192, masked=True)
    assert isinstance(batch, Batch)
    assert [[piece.length for piece in row] for row in batch.rows] == [[90], [40, 30, 20]]
    assert batch.tokens == batch.real_tokens == 180


def test_lengths_far_apart_do_not_share_a_padded_batch() -> None:
    sizes = [600, 590, 100, 90]
    pieces = [
        lay_out(Tree(trunk=(1,) * n, branches=((2,),)), i, shared=False)[0] for i, n in enumerate(sizes)
    ]
    batches = pack(pieces, budget=8192, masked=False)
    assert [(batch.width, len(batch.rows)) for batch in batches] == [(600, 2), (100, 2)]
