"""Order, passes, costs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_models import examples, llama

from trueline.core.errors import InputError
from trueline.models.trees import Tree
from trueline.training.batches import SeededBatches, passes
from trueline.training.config import TrainingConfig, learning_rate_at
from trueline.training.flops import ModelSize, attended, forward_flops, model_size, training_flops


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_every_epoch_shows_every_example_once(n, batch_size, epochs, seed):
    data = examples(n, 1)
    batches = SeededBatches(kind="sequences", examples=data, batch_size=batch_size, epochs=epochs, seed=seed)
    seen = Counter(e.index for step in range(batches.steps) for e in batches.batch(step))
    assert seen == dict.fromkeys(range(n), epochs)
    assert [e.index for e in batches.batch(0)] == [e.index for e in batches.batch(0)]


def test_epochs_are_permuted_anew_and_seeds_differ():
    data = examples(30, 1)

    def order(seed, epoch):
        batches = SeededBatches(kind="sequences", examples=data, batch_size=30, epochs=2, seed=seed)
        return [e.index for e in batches.batch(epoch)]

    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@given(st.integers(0, 30), st.integers(1, 80))
def test_passes_partition_a_step_within_the_budget(n, budget):
    data = examples(n, 2)
    groups = list(passes(data, budget))
    assert sorted(e.index for group in groups for e in group) == list(range(n))
    assert all(len(group) == 1 or sum(e.tokens for e in group) <= budget for group in groups)


def test_wrong_data_for_a_kind_is_refused():
    with pytest.raises(InputError, match="example 0 has 1 answers, but pairs need 2"):
        SeededBatches(kind="pairs", examples=examples(3, 1), batch_size=2)
    with pytest.raises(InputError, match="nothing to train on"):
        SeededBatches(kind="pairs", examples=[], batch_size=2)


def test_learning_rate_by_hand():
    config = TrainingConfig(learning_rate=1.0, warmup=0.2)
    assert [learning_rate_at(s, 10, config) for s in (0, 1, 2, 6, 9)] == pytest.approx(
        [0.5, 1, 1, 0.5, 0.125]
    )
    cosine = TrainingConfig(learning_rate=1.0, warmup=0.0, schedule="cosine")
    assert learning_rate_at(5, 10, cosine) == pytest.approx(0.5)
    constant = TrainingConfig(learning_rate=1.0, warmup=0.0, schedule="constant")
    assert learning_rate_at(9, 10, constant) == 1.0


@pytest.mark.parametrize(
    ("dial", "value"),
    [
        ("batch_size", 0),
        ("learning_rate", float("nan")),
        ("warmup", 1.5),
        ("steps", 0),
        ("schedule", "cubic"),
    ],
)
def test_impossible_dials_are_refused(dial, value):
    with pytest.raises(InputError, match=dial):
        TrainingConfig(**{dial: value})


def test_flops_by_hand():
    tree = Tree(trunk=(1, 2), branches=((3, 4, 5), (6,)))
    # keys: trunk 1 + 2; first branch 3 + 4 + 5; second 3
    assert attended(tree) == 18
    size = ModelSize(parameters=1000, trained=1000, layers=2, width=8)
    assert forward_flops(size, [tree]) == 2 * 1000 * 6 + 4 * 2 * 8 * 18
    assert training_flops(size, [tree]) == 6 * 1000 * 6 + 12 * 2 * 8 * 18
    frozen = ModelSize(parameters=1000, trained=100, layers=2, width=8)
    assert training_flops(frozen, [tree]) == (4 * 1000 + 2 * 100) * 6 + 12 * 2 * 8 * 18


def test_model_size_counts_a_tied_embedding_and_drops_a_mere_lookup():
    tied, apart = llama(), llama(tie_word_embeddings=False)
    assert model_size(tied).parameters == sum(p.numel() for p in tied.parameters())
    assert model_size(apart).parameters == model_size(tied).parameters
    assert model_size(tied).width == 32 and model_size(tied).layers == 2
