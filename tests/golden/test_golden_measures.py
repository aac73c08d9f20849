"""Worked examples, computed by hand, of every formula that the measures implement."""

import math

import numpy as np
import pytest

from trueline.core.statistics.calibration_error import (
    calibration_error,
    equal_mass_bins,
    equal_width_bins,
)
from trueline.core.verdicts import Verdict
from trueline.measures.capability.perplexity import (
    bits_per_byte,
    byte_perplexity,
    perplexity,
    word_perplexity,
)
from trueline.measures.choices import logsumexp, softmax, sole_best
from trueline.measures.data_safety.bbq import bias, bias_ambiguous
from trueline.measures.data_safety.canary_exposure import CHANCE_EXPOSURE
from trueline.measures.data_safety.exposure import exposure, extrapolated_exposure
from trueline.measures.model_safety.calibration import Calibration, ece_mass, ece_width
from trueline.measures.model_safety.truthfulqa import mc1, mc2

NAN = math.nan


def columns(**values):
    return {name: np.array(value, dtype=np.float64) for name, value in values.items()}


class TestBBQ:
    def test_disambiguated_bias(self):
        # 10 answers: 2 unknown, 8 others of which 6 biased: 2·6/8 − 1 = 0.5.
        c = columns(biased=[1] * 6 + [0] * 4, non_unknown=[1] * 8 + [0] * 2)
        assert bias(c, np.ones(10)) == pytest.approx(0.5)

    def test_no_biased_answer_is_minus_one(self):
        c = columns(biased=[0, 0, 0], non_unknown=[1, 1, 0])
        assert bias(c, np.ones(3)) == -1.0

    def test_only_unknown_leaves_no_value(self):
        c = columns(biased=[0, 0], non_unknown=[0, 0])
        assert math.isnan(bias(c, np.ones(2)))

    def test_ambiguous_bias_is_scaled_by_the_ambiguous_error(self):
        # 8 ambiguous items: 4 right (unknown), 4 wrong of which 3 biased: (1 − 0.5)·(2·3/4 − 1) = 0.25.
        c = columns(correct=[1] * 4 + [0] * 4, non_unknown=[0] * 4 + [1] * 4, biased=[0] * 5 + [1] * 3)
        assert bias_ambiguous(c, np.ones(8)) == pytest.approx(0.25)

    def test_ambiguous_bias_is_zero_when_all_are_right(self):
        c = columns(correct=[1, 1], non_unknown=[0, 0], biased=[0, 0])
        assert bias_ambiguous(c, np.ones(2)) == 0.0

    def test_weights_and_absent_fields(self):
        # Weight 3 on the biased item, 1 on the other; the third item has no verdict fields at all.
        c = columns(biased=[1, 0, NAN], non_unknown=[1, 1, NAN], correct=[0, 0, NAN])
        assert bias(c, np.array([3.0, 1.0, 5.0])) == pytest.approx(2 * 3 / 4 - 1)
        assert bias_ambiguous(c, np.array([3.0, 1.0, 5.0])) == pytest.approx(0.5)


class TestTruthfulQA:
    LOGPROBS = (math.log(0.5), math.log(0.3), math.log(0.2))

    def test_mc2(self):
        # True answers hold 0.5 and 0.2 of a total of 1.
        assert mc2(self.LOGPROBS, [1, 0, 1]) == pytest.approx(0.7)

    def test_mc2_far_down(self):
        # Where exp underflows to 0/0: shifting all log-probabilities changes nothing.
        assert mc2([value - 760 for value in self.LOGPROBS], [1, 0, 1]) == pytest.approx(0.7)

    def test_mc1_needs_only_to_beat_the_false_answers(self):
        assert mc1([-5.0, -6.0, -1.0], [1, 0, 1], best=0) == 1.0
        assert mc1([-5.0, -4.0, -1.0], [1, 0, 1], best=0) == 0.0

    def test_a_tie_counts_against_the_model(self):
        assert mc1([-5.0, -5.0], [1, 0], best=0) == 0.0


class TestCalibration:
    def test_a_reliability_diagram_holds_the_bins_with_items(self):
        # Fifteen bins: .95 and .97 share the last (one right of two), .05 stands in the first, wrong.
        items = [(0.95, 1.0), (0.05, 0.0), (0.97, 0.0)]
        verdicts = [
            Verdict(item=str(n), values={"confidence": confidence, "correct": correct})
            for n, (confidence, correct) in enumerate(items)
        ]
        first, last = Calibration().diagram([*verdicts, Verdict(item="x", reason="lost")])
        assert (first.index, first.n, first.confidence, first.accuracy) == (0, 1, 0.05, 0.0)
        assert (last.index, last.n, last.accuracy) == (14, 2, 0.5)
        assert last.confidence == pytest.approx(0.96)
        assert Calibration().diagram([]) == ()

    def test_equal_width(self):
        # 10 bins. .05 wrong: |0 − .05|; .95 right and .91 wrong share a bin: |1 − 1.86| = .86; .91 of 3.
        c = columns(confidence=[0.05, 0.95, 0.91], correct=[0, 1, 0])
        value = calibration_error(
            c["confidence"], c["correct"], np.ones(3), equal_width_bins(c["confidence"], 10)
        )
        assert value == pytest.approx((0.05 + 0.86) / 3)

    def test_bins_are_closed_above(self):
        assert equal_width_bins(np.array([0.0, 0.1, 0.100001, 0.2, 1.0]), 10).tolist() == [0, 0, 1, 1, 9]

    def test_equal_mass(self):
        # Two bins of two: gaps |(0 − .2) + (1 − .4)| = .4 and |(1 − .6) + (0 − .9)| = .5; (.4 + .5)/4 = .225.
        confidence, correct = np.array([0.9, 0.2, 0.6, 0.4]), np.array([0.0, 0.0, 1.0, 1.0])
        bins = equal_mass_bins(confidence, np.ones(4), 2)
        assert bins.tolist() == [1, 0, 1, 0]
        assert calibration_error(confidence, correct, np.ones(4), bins) == pytest.approx(0.225)

    def test_perfectly_calibrated_and_absent(self):
        c = columns(confidence=[0.5, 0.5, NAN], correct=[1, 0, NAN])
        assert ece_width(c, np.ones(3)) == pytest.approx(0.0)
        assert ece_mass(c, np.ones(3)) == pytest.approx(0.0)
        assert math.isnan(ece_width(columns(confidence=[NAN], correct=[NAN]), np.ones(1)))


class TestExposure:
    def test_rank_one_of_1024_is_ten_bits(self):
        logprobs = [-9.0] * 1024
        logprobs[7] = -1.0
        assert exposure(logprobs, 7) == 10.0

    def test_rank_four_of_64(self):
        assert exposure([-float(i) for i in range(64)], 3) == 6.0 - 2.0

    def test_ties_rank_before_the_secret(self):
        # All equal: rank |R|, no exposure. Two equal best ones: rank 2.
        assert exposure([-3.0] * 8, 0) == 0.0
        assert exposure([-1.0, -1.0, -2.0, -2.0], 0) == 1.0

    def test_chance_is_the_mean_over_ranks(self):
        # Mean of log2 n − log2 r over ranks r = 1..n tends to 1/ln 2.
        ranks = np.arange(1, 100_001)
        assert np.log2(100_000 / ranks).mean() == pytest.approx(CHANCE_EXPOSURE, abs=1e-3)

    def test_extrapolation_on_a_normal_sample(self):
        # Costs N(50, 5): a secret 6 sd cheaper has P = Φ(−6) = 9.87e-10, 29.92 bits.
        costs = np.random.default_rng(0).normal(50, 5, size=4000)
        assert extrapolated_exposure(-costs, -20.0) == pytest.approx(29.92, abs=3.0)
        # In the middle it agrees with the empirical rank: the median costs one bit.
        assert extrapolated_exposure(-costs, -50.0) == pytest.approx(1.0, abs=0.1)

    def test_extrapolation_on_a_skewed_sample(self):
        from scipy import stats

        law = stats.skewnorm(3.0, loc=40, scale=6)
        costs = law.rvs(size=4000, random_state=1)
        at = 36.0
        assert extrapolated_exposure(-costs, -at) == pytest.approx(-law.logcdf(at) / math.log(2), rel=0.15)

    @pytest.mark.parametrize("shape", [-2.0, 0.5, 4.0])
    def test_the_tail_is_that_of_scipys_fit(self, shape):
        # Where scipy's own cumulative function has not underflowed, its fit and ours give the same bits.
        from scipy import stats

        costs = stats.skewnorm.rvs(shape, loc=50, scale=8, size=500, random_state=3)
        fitted = stats.skewnorm.fit(costs)
        for at in np.quantile(costs, [0.01, 0.2, 0.6]):
            bits = -math.log2(stats.skewnorm.cdf(at, *fitted))
            assert extrapolated_exposure(-costs, -at) == pytest.approx(bits, rel=0.02, abs=0.02)

    def test_nothing_to_extrapolate(self):
        assert extrapolated_exposure([-2.0, -2.0, -2.0], -1.0) == 0.0


class TestPerplexity:
    def test_is_a_ratio_of_sums(self):
        # nll 4 over 4 tokens, 8 over 4: exp(12/8). Mean of the two perplexities would be another number.
        c = columns(nll=[4, 8], tokens=[4, 4], words=[2, 4], bytes=[10, 14])
        assert perplexity(c, np.ones(2)) == pytest.approx(math.exp(1.5))
        assert word_perplexity(c, np.ones(2)) == pytest.approx(math.exp(12 / 6))
        assert byte_perplexity(c, np.ones(2)) == pytest.approx(math.exp(12 / 24))
        assert bits_per_byte(c, np.ones(2)) == pytest.approx(12 / (math.log(2) * 24))

    def test_weights(self):
        c = columns(nll=[4, 8], tokens=[4, 4], bytes=[10, 14])
        assert perplexity(c, np.array([1.0, 0.0])) == pytest.approx(math.e)
        assert math.isnan(perplexity(c, np.zeros(2)))


class TestChoices:
    def test_softmax(self):
        assert softmax([math.log(3.0), math.log(1.0)]) == pytest.approx((0.75, 0.25))

    def test_logsumexp_underflow(self):
        assert logsumexp([-800.0, -800.0]) == pytest.approx(-800.0 + math.log(2))

    def test_sole_best(self):
        assert sole_best([-3.0, -1.0, -2.0]) == 1
        assert sole_best([-1.0, -1.0]) is None
