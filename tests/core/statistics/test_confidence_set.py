"""The model confidence set: who stays, who leaves, and how often the best stays."""

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.core.statistics import confidence_set


def test_a_clear_loser_leaves_and_ties_stay() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(300, 1))
    losses = base + 0.3 * rng.normal(size=(300, 4)) + np.array([0.0, 0.0, 0.5, 0.2])
    found = confidence_set(losses)
    assert found.members == (0, 1) or found.members == (0,) or found.members == (1,)
    assert found.eliminated[:2] == (2, 3)
    assert found.p[2] < 0.01 and found.p[3] < 0.01
    assert set(found.members) | set(found.eliminated) == {0, 1, 2, 3}


def test_identical_methods_all_stay() -> None:
    loss = np.random.default_rng(1).normal(size=(50, 1))
    found = confidence_set(np.repeat(loss, 3, axis=1))
    assert found.members == (0, 1, 2) and (found.p == 1).all()


def test_a_constant_gap_is_certain() -> None:
    loss = np.random.default_rng(1).normal(size=(50, 1))
    assert confidence_set(np.hstack([loss, loss + 0.1])).members == (0,)


def test_one_method_and_the_seed() -> None:
    losses = np.random.default_rng(2).normal(size=(40, 3))
    assert confidence_set(losses[:, :1]).members == (0,)
    assert (confidence_set(losses, seed=1).p == confidence_set(losses, seed=1).p).all()


def test_clusters_keep_more_methods() -> None:
    rng = np.random.default_rng(3)
    gaps = np.repeat([2.0, -1.0, 1.5, -1.0, 1.0, -0.5, 0.5, 0.5], 50)
    losses = np.stack([np.zeros(400), gaps + 0.1 * rng.normal(size=400)], axis=1)
    assert losses[:, 1].mean() > 0.3
    assert len(confidence_set(losses).members) == 1
    assert len(confidence_set(losses, np.repeat(np.arange(8), 50)).members) == 2


def test_the_best_usually_stays() -> None:
    rng = np.random.default_rng(4)
    kept = 0
    for seed in range(200):
        losses = rng.normal(size=(60, 4)) + np.array([0.0, 0.0, 0.0, 0.3])
        kept += 0 in confidence_set(losses, replicates=200, seed=seed).members
    assert kept >= 180  # 95 % less three Monte Carlo errors


def test_bad_losses() -> None:
    with pytest.raises(InputError, match="clusters"):
        confidence_set(np.ones((3, 2)), ["a", "a", "a"])
    with pytest.raises(InputError, match="dimension"):
        confidence_set(np.ones(3))
