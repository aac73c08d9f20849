"""Hashed features: the same for a text whatever else is in the batch, and as many as counted by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.judges.linear import LinearModel, features, normalise

BITS = 12
PINNED = [84614, 2634, 130222, 115234, 7540, 73991]
PINNED_SUM = 3644339
MODEL = LinearModel(weights=np.random.default_rng(0).normal(size=2**BITS).astype(np.float32), bias=-0.5)


def test_normalising() -> None:
    assert normalise("RT @Some_One: FUUUCK &amp; “you’re” https://t.co/x1") == "rt @: fuuck & “you're”  "


def test_features_counted_by_hand() -> None:
    made = features(["Hello, world! ab"], BITS)
    # words 3, pairs 2; " hello " and " world " have 5 + 4 + 3 n-grams of orders 3 to 5, " ab " has 2 + 1
    assert Counter(made.groups.tolist()) == {0: 3, 1: 2, 2: 12 + 12 + 3}


def test_equal_words_have_equal_features_and_order_makes_pairs() -> None:
    first, second = features(["cat dog"], BITS), features(["dog cat"], BITS)
    for group, same in ((0, True), (1, False), (2, True)):
        a = sorted(first.buckets[first.groups == group])
        b = sorted(second.buckets[second.groups == group])
        assert (a == b) is same


def test_the_hash_is_pinned() -> None:
    """Stored weights mean nothing under another hash."""
    made = features(["you are great ★ naïve"], 17)
    assert made.buckets[:6].tolist() == PINNED
    assert int(made.buckets.sum()) == PINNED_SUM


def test_the_logit_by_hand() -> None:
    weights = np.zeros(2**BITS, dtype=np.float32)
    made = features(["bad day"], BITS)
    weights[made.buckets[0]] = 3.0  # the word "bad", one of two words
    model = LinearModel(weights=weights, bias=-1.0)
    shared = sum(made.buckets == made.buckets[0])
    assert shared == 1
    assert model.logits(["bad day"])[0] == pytest.approx(-1 + 3 / np.sqrt(2))


def test_a_text_without_letters_is_surely_not_toxic() -> None:
    assert MODEL.probabilities(["", "...", "?!\n", "a"])[:3].tolist() == [0, 0, 0]
    assert MODEL.probabilities([]).shape == (0,)


@given(st.lists(st.text(max_size=40), max_size=6))
def test_a_batch_changes_no_score(texts: list[str]) -> None:
    together = MODEL.logits(texts)
    alone = [MODEL.logits([text])[0] for text in texts]
    assert together.tolist() == pytest.approx(alone)
