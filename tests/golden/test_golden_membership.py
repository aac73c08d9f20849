"""Worked examples, computed by hand, of membership inference: its statistics, AUC and rates."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.measures.data_safety.blind import blind_scores
from trueline.measures.data_safety.membership_statistics import (
    loss,
    min_k,
    min_k_plus,
    reference_ratio,
    zlib_ratio,
)
from trueline.measures.ranking import auc, tpr_at_fpr

NAN = math.nan


def arrays(*lists):
    return [np.array(values, dtype=np.float64) for values in lists]


class TestStatistics:
    LOGPROBS = (-1.0, -4.0, -2.0, -3.0, -5.0, -0.5, -0.5, -0.5, -0.5, -3.0)

    def test_loss_is_the_mean(self):
        assert loss(self.LOGPROBS) == pytest.approx(-2.0)

    def test_zlib_divides_the_mean_by_the_compressed_length(self):
        text = "aaaaaaaaaa"
        assert zlib_ratio(self.LOGPROBS, text) == pytest.approx(-2.0 / len(zlib.compress(b"aaaaaaaaaa")))

    def test_min_k_is_the_mean_of_the_lowest_fifth(self):
        # Ten tokens: the lowest two are −5 and −4.
        assert min_k(self.LOGPROBS) == pytest.approx(-4.5)
        assert min_k(self.LOGPROBS, 100) == pytest.approx(-2.0)

    def test_min_k_takes_one_token_at_least(self):
        assert min_k((-1.0, -3.0)) == -3.0

    def test_min_k_plus_standardises_before_it_takes_the_lowest(self):
        # (−1 + 2)/1 = 1; (−4 + 3)/2 = −½; (−2 + 2)/½ = 0; a certain token is 0. The lowest half: (−½ + 0)/2.
        moments = ((-2.0, 1.0), (-3.0, 4.0), (-2.0, 0.25), (0.0, 0.0))
        assert min_k_plus((-1.0, -4.0, -2.0, 0.0), moments, 50) == pytest.approx(-0.25)

    def test_min_k_plus_of_a_known_distribution(self):
        # p = (¾, ¼): μ = ¾ ln ¾ + ¼ ln ¼ = −0.56234, σ² = Σ p ln² p − μ² = 0.22630; of the likelier token
        # (ln ¾ − μ)/σ = √(¼/¾) = 1/√3, of the other −√3: two values, standardised.
        p = np.array([0.75, 0.25])
        mean = float(p @ np.log(p))
        variance = float(p @ np.log(p) ** 2 - mean**2)
        assert min_k_plus([math.log(0.75)], [(mean, variance)]) == pytest.approx(1 / math.sqrt(3))
        assert min_k_plus([math.log(0.25)], [(mean, variance)]) == pytest.approx(-math.sqrt(3))

    def test_reference_is_a_likelihood_ratio_a_byte(self):
        assert reference_ratio([-3.0, -3.0], [-4.0, -4.0, -4.0], "café") == pytest.approx((-6 + 12) / 5)


class TestRanking:
    def test_auc_counts_pairs(self):
        # Members 3, 1; others 2, 0: of 4 pairs 3 are in order.
        assert auc(*arrays([3, 1, 2, 0], [1, 1, 0, 0], [1, 1, 1, 1])) == 0.75

    def test_a_tie_is_half_a_pair(self):
        assert auc(*arrays([1, 1], [1, 0], [1, 1])) == 0.5

    def test_weights_repeat_items(self):
        # The member at 1 counts three times: pairs 3>2, 3>0 (weight 1 each), 1>0 (3), not 1>2 (3): 5 of 8.
        assert auc(*arrays([3, 1, 2, 0], [1, 1, 0, 0], [1, 3, 1, 1])) == pytest.approx(5 / 8)

    def test_one_class_has_no_auc(self):
        assert math.isnan(auc(*arrays([1, 2], [1, 1], [1, 1])))
        assert math.isnan(tpr_at_fpr(*arrays([1, 2], [1, 1], [1, 1])))
        assert math.isnan(auc(*arrays([NAN, NAN], [1, 0], [1, 1])))

    def test_tpr_below_a_false_positive_rate(self):
        # Others at 4 and 0..98: 1 % of 100 allows one of them, so the threshold may lie below 4, not at 3.
        scores = [5, 4.5, 3.5, -1] + [4, 3, 2.9] + [0] * 97
        members = [1] * 4 + [0] * 100
        assert tpr_at_fpr(*arrays(scores, members, [1] * 104)) == 0.75
        assert tpr_at_fpr(*arrays(scores, members, [1] * 104), fpr=0.0) == 0.5

    def test_a_tie_with_another_does_not_pass(self):
        assert tpr_at_fpr(*arrays([2, 2, 1], [1, 0, 0], [1, 1, 1])) == 0.0

    @given(st.lists(st.tuples(st.integers(-4, 4), st.booleans(), st.integers(1, 3)), min_size=2, max_size=12))
    def test_auc_is_the_share_of_pairs_in_order(self, rows):
        scores, members, weights = zip(*rows)
        pairs = [(w * v, (s > t) + (s == t) / 2) for s, m, w in rows for t, n, v in rows if m and not n]
        value = auc(*arrays(scores, members, weights))
        if not pairs:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(sum(w * x for w, x in pairs) / sum(w for w, _ in pairs))


class TestBlind:
    def test_words_give_a_bad_split_away(self):
        texts = [f"in the year 19{n:02} it was so" for n in range(40)] + [
            f"in the week 20{n:02} it will be" for n in range(40)
        ]
        members = [True] * 40 + [False] * 40
        scores = blind_scores(texts, members, texts)
        assert auc(*arrays(scores, members, [1] * 80)) == 1.0

    def test_a_text_never_scores_by_its_own_label(self):
        # Each text's words occur nowhere else: nothing is known of it but the sizes of the classes.
        texts = [f"w{n} v{n}" for n in range(40)]
        members = [n % 2 == 0 for n in range(40)]
        scores = blind_scores(texts, members, texts)
        value = auc(*arrays(scores, members, [1] * 40))
        assert value < 0.6  # what is held out can only count against

    def test_texts_of_a_cluster_share_a_fold(self):
        # The same words in one cluster: whoever saw the twin would know.
        texts = [f"twin{n // 2} words" for n in range(80)]
        members = [n // 2 % 2 == 0 for n in range(80)]
        scores = blind_scores(texts, members, [f"pair {n // 2}" for n in range(80)])
        assert scores[::2] == scores[1::2]
        assert auc(*arrays(scores, members, [1] * 80)) < 0.6
