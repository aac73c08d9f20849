"""Prediction-powered inference: the estimator by hand, tuning, clusters, and what labels alone would say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.statistics import ppi_change, ppi_mean

nan = math.nan


def world(seed: int, n: int, labelled: int, sensitivity: float, specificity: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3).astype(float)
    said = (rng.random(n) < np.where(truth > 0, sensitivity, 1 - specificity)).astype(float)
    labels = np.full(n, nan)
    chosen = rng.choice(n, labelled, replace=False)
    labels[chosen] = truth[chosen]
    return truth, said, labels


def test_the_estimator_by_hand() -> None:
    # N = 8, f̄ = ½. Labelled items 0–3 with y = 1, 1, 0, 0 and f = 1, 1, 1, 0 (f̄_n = ¾, ȳ = ½).
    said = [1, 1, 1, 0, 1, 0, 0, 0]
    labels = [1, 1, 0, 0, nan, nan, nan, nan]
    found = ppi_mean(labels, said)
    # a = 2·(y − ½) = 1, 1, −1, −1, 0…; b = (f − ½) − 2·(f − ¾) = 0, 0, 0, 1, ½, −½, −½, −½; λ = −Σab/Σb² = ½.
    assert found.tuning == pytest.approx(1 / 2)
    assert found.value == pytest.approx(0.5 * 0.5 + (0.5 - 0.5 * 0.75))
    assert found.labels_alone == 0.5
    # Σ(a + λb)² = 3·1 + ¼ + 4·(1/16); times 4/3, and two disagreements more.
    assert found.se == pytest.approx(math.sqrt(3.5 / 64 * 4 / 3 + 2 / 16))
    assert (found.labelled, found.n) == (4, 8)


def test_a_good_judge_narrows_and_a_useless_one_does_no_harm() -> None:
    _, said, labels = world(1, 2000, 200, 0.97, 0.98)
    good = ppi_mean(labels, said)
    _, noise, same_labels = world(1, 2000, 200, 0.5, 0.5)
    useless = ppi_mean(same_labels, noise)
    alone = ppi_mean(same_labels, np.zeros(2000))
    assert good.tuning > 0.85 and good.se < 0.6 * alone.se
    assert useless.tuning < 0.1 and useless.se <= alone.se * 1.001
    assert alone.tuning == 0 and alone.value == alone.labels_alone


def test_a_perverse_judge_is_ignored() -> None:
    truth, _, labels = world(2, 500, 100, 1, 1)
    assert ppi_mean(labels, 1 - truth).tuning == 0


def test_no_disagreement_is_not_a_perfect_judge() -> None:
    _, said, labels = world(3, 1000, 50, 1.0, 1.0)
    found = ppi_mean(labels, said)
    assert found.high - found.low > 0.08  # 50 labels leave room for errors of about 3 %


def test_all_labelled_is_the_mean_of_the_labels() -> None:
    truth, said, _ = world(4, 300, 300, 0.8, 0.9)
    found = ppi_mean(truth, said)
    assert found.value == pytest.approx(truth.mean()) and found.tuning == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_relabelling_the_two_classes_mirrors(seed: int) -> None:
    _, said, labels = world(seed, 200, 60, 0.8, 0.9)
    found, mirrored = ppi_mean(labels, said), ppi_mean(1 - labels, 1 - said)
    assert found.value == pytest.approx(1 - mirrored.value)
    assert found.se == pytest.approx(mirrored.se) and found.tuning == pytest.approx(mirrored.tuning)


def test_inclusion_probabilities_undo_a_skewed_draw() -> None:
    rng = np.random.default_rng(7)
    values = []
    for _ in range(200):
        truth = (rng.random(800) < 0.3).astype(float)
        chance = np.where(truth > 0, 0.3, 0.1)  # harmful ones are labelled three times as often
        labels = np.where(rng.random(800) < chance, truth, nan)
        values.append(ppi_mean(labels, np.zeros(800), inclusion=chance).value)
    assert np.mean(values) == pytest.approx(0.3, abs=0.01)


def test_clusters_widen() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 25)
    truth = (rng.random(40) < 0.4).astype(float)[clusters]
    labels = np.where(rng.random(1000) < 0.2, truth, nan)
    said = np.where(rng.random(1000) < 0.9, truth, 1 - truth)
    assert ppi_mean(labels, said, clusters=clusters).se > 2 * ppi_mean(labels, said).se


def test_change_by_hand_is_the_mean_of_differences() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.random(600)
    before, after = (difficulty < 0.4).astype(float), (difficulty < 0.15).astype(float)
    hidden = rng.random(600) > 0.25
    flip = rng.random((2, 600)) < 0.1
    said = [np.where(f, 1 - arm, arm) for f, arm in zip(flip, (before, after))]
    found = ppi_change(np.where(hidden, nan, before), np.where(hidden, nan, after), said[0], said[1])
    d, f = after - before, said[1] - said[0]
    by_hand = found.tuning * f.mean() + (d - found.tuning * f)[~hidden].mean()
    assert found.value == pytest.approx(by_hand)
    assert 0.3 < found.tuning < 1 and found.low < -0.25 < found.high and found.p < 1e-6


def test_bad_labels() -> None:
    with pytest.raises(InputError, match="needs two"):
        ppi_mean([1, nan, nan], [1, 0, 0])
    with pytest.raises(InputError, match="NaN for items"):
        ppi_mean([1, 0], [1, 0, 0])
    with pytest.raises(InputError, match="above 0"):
        ppi_mean([1, 0, nan], [1, 0, 0], inclusion=[0.5, 0.0, 0.5])
    with pytest.raises(InputError, match="both arms"):
        ppi_change([1, nan, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0])
    with pytest.raises(InputError, match="one cluster"):
        ppi_mean([1, 0, nan], [1, 0, 0], clusters=["a", "a", "b"])
