"""The objectives' formulas, with the arithmetic by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.models.trees import Tree
from trueline.training.batches import Example, Scored
from trueline.training.objectives.cdpo import CDPOObjective, cdpo_loss
from trueline.training.objectives.cost import cost_loss
from trueline.training.objectives.cpo import cpo_loss
from trueline.training.objectives.dpo import DPOObjective, dpo_loss
from trueline.training.objectives.gpo import CONVEX, GPOObjective, gpo_loss
from trueline.training.objectives.ipo import IPOObjective, ipo_loss
from trueline.training.objectives.kto import KTOObjective, kto_loss
from trueline.training.objectives.orpo import log1mexp, orpo_loss
from trueline.training.objectives.pro import PROObjective, pro_loss
from trueline.training.objectives.reward import bradley_terry_loss
from trueline.training.objectives.robust_dpo import RobustDPOObjective, robust_dpo_loss
from trueline.training.objectives.rrhf import RRHFObjective, rrhf_loss
from trueline.training.objectives.rso_hinge import RSOHingeObjective, rso_hinge_loss
from trueline.training.objectives.sft import sft_loss
from trueline.training.objectives.simpo import simpo_loss
from trueline.training.objectives.slic_hf import slic_hf_loss


def test_sft_is_the_token_mean_of_the_whole_step():
    # two answers of 1 and 3 tokens, log-probabilities −1 and −2, −3, −6: −(−12) / 4 = 3,
    # while the mean of the two answers' means would be (1 + 11/3) / 2 = 2.33
    first = sft_loss(torch.tensor([-1.0]), 4)
    second = sft_loss(torch.tensor([-2.0, -3.0, -6.0]), 4)
    assert float(first + second) == pytest.approx(3.0)


def test_dpo_by_hand():
    # Δ⁺ = −10 − (−12) = 2, Δ⁻ = −11 − (−10) = −1, β = 0.1: −log σ(0.1 · 3) = log(1 + e^−0.3) = 0.554355
    assert float(dpo_loss(torch.tensor([3.0]), beta=0.1)) == pytest.approx(0.554355, abs=1e-6)


def test_dpo_starts_at_log_two_and_survives_extremes():
    assert float(dpo_loss(torch.zeros(1), beta=0.5)) == pytest.approx(math.log(2))
    assert float(dpo_loss(torch.tensor([-5000.0]), beta=1.0)) == pytest.approx(5000.0)


@given(st.floats(-100, 100), st.floats(0.01, 2))
def test_dpo_of_a_pair_and_of_its_mirror_image(margin, beta):
    # σ(x) + σ(−x) = 1
    h = torch.tensor([margin], dtype=torch.float64)
    there, back = dpo_loss(h, beta=beta), dpo_loss(-h, beta=beta)
    assert float(torch.exp(-there) + torch.exp(-back)) == pytest.approx(1.0)


def test_cdpo_by_hand_and_where_it_is_least():
    # β h = 0.3, ε = 0.2: 0.8 · 0.554355 + 0.2 · 0.854355 = 0.614355
    loss = cdpo_loss(torch.tensor([3.0]), beta=0.1, label_smoothing=0.2)
    assert float(loss) == pytest.approx(0.614355, abs=1e-6)
    enough = torch.tensor([math.log(4) / 0.1], dtype=torch.float64, requires_grad=True)
    cdpo_loss(enough, beta=0.1, label_smoothing=0.2).sum().backward()
    assert float(enough.grad) == pytest.approx(0, abs=1e-12)


def test_robust_dpo_by_hand():
    # β h = 0.3, ε = 0.2: (0.8 · 0.554355 − 0.2 · 0.854355) / 0.6 = 0.454355
    loss = robust_dpo_loss(torch.tensor([3.0]), beta=0.1, flipped=0.2)
    assert float(loss) == pytest.approx(0.454355, abs=1e-6)


@given(st.floats(-20, 20), st.floats(0, 0.45))
def test_robust_dpo_is_unbiased_under_the_flips_it_knows(margin, flipped):
    # a clean pair of margin h shows itself as h with probability 1 − ε and as −h with ε
    h = torch.tensor([margin], dtype=torch.float64)
    seen = [float(robust_dpo_loss(sign * h, beta=0.5, flipped=flipped)) for sign in (1, -1)]
    clean = float(dpo_loss(h, beta=0.5))
    assert (1 - flipped) * seen[0] + flipped * seen[1] == pytest.approx(clean, rel=1e-9, abs=1e-9)


def test_ipo_by_hand():
    # τ = 0.25: the margin sought is 1/(2 · 0.25) = 2; of h = 3 it is missed by 1, of h = −1 by 3
    assert ipo_loss(torch.tensor([3.0, -1.0, 2.0]), tau=0.25).tolist() == pytest.approx([1.0, 9.0, 0.0])


def test_rso_hinge_by_hand():
    # β = 0.1: 1 − 0.3, 1 + 0.1, and nothing beyond a margin of 10
    assert rso_hinge_loss(torch.tensor([3.0, -1.0, 12.0]), beta=0.1).tolist() == pytest.approx([0.7, 1.1, 0])


def test_the_family_by_hand():
    # x = β h = 0.5 · (−1) = −0.5
    expected = {
        "logistic": 0.974077,  # log(1 + e^0.5)
        "squared": 2.25,  # (−1.5)²
        "hinge": 1.5,
        "exponential": 1.648721,  # e^0.5
        "truncated_quadratic": 2.25,
    }
    h = torch.tensor([-1.0])
    found = {name: float(gpo_loss(h, beta=0.5, convex=f)) for name, f in CONVEX.items()}
    assert found == pytest.approx(expected, abs=1e-6)
    assert float(gpo_loss(torch.tensor([3.0]), beta=1, convex=CONVEX["truncated_quadratic"])) == 0


@pytest.mark.parametrize("name", CONVEX)
@given(a=st.floats(-5, 5), b=st.floats(-5, 5))
def test_every_member_is_convex_and_falls_at_zero(name, a, b):
    f = CONVEX[name]
    ends = f(torch.tensor([a, b], dtype=torch.float64))
    middle = f(torch.tensor([(a + b) / 2], dtype=torch.float64))
    assert float(middle) <= float(ends.mean()) + 1e-9
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    f(zero).sum().backward()
    assert float(zero.grad) < 0


def test_bradley_terry_by_hand():
    # r⁺ − r⁻ − m = 1.5 − 0.5 − 0.25 = 0.75: log(1 + e^−0.75) = 0.386871
    loss = bradley_terry_loss(torch.tensor([1.5]), torch.tensor([0.5]), torch.tensor([0.25]))
    assert float(loss) == pytest.approx(0.386871, abs=1e-6)


def test_cost_by_hand():
    # of a safe and an unsafe answer at −1 and 2: softplus(−3) + softplus(−1) + softplus(−2) = 0.488777;
    # the same turned around; both unsafe and alike: softplus(1) + softplus(−2) = 1.440190
    costs = torch.tensor([[-1.0, 2.0], [2.0, -1.0], [-1.0, 2.0]])
    unsafe = torch.tensor([[-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    losses = cost_loss(costs, unsafe, torch.tensor([1.0, -1.0, 0.0]))
    assert losses.tolist() == pytest.approx([0.488777, 0.488777, 1.440190], abs=1e-6)


def test_simpo_by_hand():
    # β = 2, γ = 0.5: 2 · (−0.5 + 1.5) − 0.5 = 1.5: log(1 + e^−1.5) = 0.201413
    assert float(simpo_loss(torch.tensor([-0.5]), torch.tensor([-1.5]), beta=2, gamma=0.5)) == pytest.approx(
        0.201413, abs=1e-6
    )


def test_cpo_by_hand():
    # β = 0.1: 0.1 · (−10 + 13) = 0.3: log(1 + e^−0.3) = 0.554355
    assert float(cpo_loss(torch.tensor([-10.0]), torch.tensor([-13.0]), beta=0.1)) == pytest.approx(
        0.554355, abs=1e-6
    )


def test_orpo_by_hand_and_at_the_ends():
    # p⁺ = 0.8, p⁻ = 0.5: odds 4 and 1; −log 0.8 − 0.1 · log(4/5) = 0.223144 + 0.022314 = 0.245458
    loss = orpo_loss(torch.tensor([math.log(0.8)]), torch.tensor([math.log(0.5)]), weight=0.1)
    assert float(loss) == pytest.approx(0.245458, abs=1e-6)
    ends = torch.tensor([-1e-6, -1e-3, -0.6931, -0.6932, -30.0], dtype=torch.float64, requires_grad=True)
    log1mexp(ends).sum().backward()
    expected = [math.log(-math.expm1(x)) for x in ends.tolist()]
    assert log1mexp(ends).tolist() == pytest.approx(expected, rel=1e-9)
    assert torch.isfinite(ends.grad).all()
    certain = torch.zeros(1, requires_grad=True)
    orpo_loss(certain, torch.tensor([-1.0]), weight=0.1).sum().backward()
    assert torch.isfinite(certain.grad).all()


def test_slic_hf_by_hand():
    # δ = 1, λ = 0.5: max(0, 1 + 2 − 2.5) + 1 = 1.5; a margin of 3 is enough: 0 + 1
    loss = slic_hf_loss(torch.tensor([-2.0, -2.0]), torch.tensor([-2.5, -5.0]), delta=1, sft_weight=0.5)
    assert loss.tolist() == pytest.approx([1.5, 1.0])


def test_rrhf_by_hand():
    # p = (−1, −0.5, −2): the second is likelier than the first by 0.5; ℓ(best) = 4 · −1
    lengths, ranks = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 3.0])
    logps = torch.tensor([-1.0, -0.5, -2.0]) * lengths
    assert float(rrhf_loss(logps, lengths, ranks, rank_weight=1)) == pytest.approx(4.5)
    assert float(rrhf_loss(logps, lengths, ranks, rank_weight=3)) == pytest.approx(5.5)
    # as a tie of the first two, their order is not judged
    assert float(rrhf_loss(logps, lengths, torch.tensor([1.0, 1.0, 3.0]), rank_weight=1)) == pytest.approx(4)


def test_pro_by_hand():
    # p = (−1, −2, −3), ℓ(best) = −3: log(1 + e^−1 + e^−2) + log(1 + e^−1) + 0.05 · 4 · 3
    lengths, ranks = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    logps = torch.tensor([-1.0, -2.0, -3.0]) * lengths
    loss = pro_loss(logps, lengths, ranks, None, sft_weight=0.05)
    assert float(loss) == pytest.approx(0.407606 + 0.313262 + 0.6, abs=1e-6)
    # the first two tie: each against the third alone, log(1 + e^−2) + log(1 + e^−1)
    tied = pro_loss(logps, lengths, torch.tensor([1.0, 1.0, 3.0]), None, sft_weight=0.0)
    assert float(tied) == pytest.approx(0.126928 + 0.313262, abs=1e-6)
    # scores 2, 1.5, 0: 1/T of the first against both 0.5 and 2, its own 2; of the second 1.5
    # log(1 + e^(−1 + 2) + e^(−6 + 2)) + log(1 + e^(−4.5 + 3))
    scores = torch.tensor([2.0, 1.5, 0.0])
    assert float(pro_loss(logps, lengths, ranks, scores, sft_weight=0.0)) == pytest.approx(
        math.log(1 + math.e + math.exp(-4)) + math.log(1 + math.exp(-1.5)), abs=1e-5
    )


@given(st.lists(st.floats(-8, 0), min_size=2, max_size=2), st.floats(0.1, 5))
def test_pro_of_two_is_simpo_without_a_margin(means, beta):
    means = torch.tensor(means, dtype=torch.float64)
    ranks, scores = torch.tensor([1.0, 2.0]), torch.tensor([beta, 0.0], dtype=torch.float64)
    expected = simpo_loss(means[:1], means[1:], beta=beta, gamma=0.0)
    found = pro_loss(means, torch.ones(2), ranks, scores, sft_weight=0.0)
    # torch's softplus is the identity above 20, where it is so to 2e-9
    assert float(found) == pytest.approx(float(expected), abs=1e-8)


def test_kto_by_hand():
    # z = 1, β = 0.5. Wanted, Δ = 3: 1.2 · (1 − σ(0.5 · 2)) = 1.2 · 0.268941 = 0.322730
    # unwanted, Δ = 3: 0.9 · (1 − σ(0.5 · −2)) = 0.9 · 0.731059 = 0.657953
    losses = kto_loss(
        torch.tensor([3.0, 3.0]),
        torch.tensor([1.0, 0.0]),
        baseline=1.0,
        beta=0.5,
        desirable_weight=1.2,
        undesirable_weight=0.9,
    )
    assert losses.tolist() == pytest.approx([0.322730, 0.657953], abs=1e-6)


def test_ktos_baseline_is_over_the_whole_step_and_never_negative():
    def example(policy, reference):
        other = Example(
            tree=Tree(trunk=(1,), branches=((policy,),)), index=0, reference=(torch.tensor([reference]),)
        )
        tree = Tree(trunk=(1,), branches=((2,),))
        return Example(
            tree=tree, index=0, facts={"wanted": (1.0,)}, reference=(torch.tensor([-2.0]),), mismatched=other
        )

    def score(trees):  # a policy whose log-probability of token t is −t
        return [[-torch.tensor(tree.branches[0], dtype=torch.float32)] for tree in trees]

    def loss(*steps):
        totals = {}
        for examples in steps:  # as the loop adds the processes' totals up
            for name, value in KTOObjective().totals(examples, score).items():
                totals[name] = totals.get(name, 0) + value
        scored = Scored(examples=steps[0], outputs={"logps": [[torch.tensor([-1.0])] for _ in steps[0]]})
        return KTOObjective().loss(scored, totals)

    # Δ(x, y') = −1 − (−4) = 3 and −2 − (−1) = −1: their mean is 1; the second alone is below 0, and counts as 0
    assert float(loss([example(1, -4.0)], [example(2, -1.0)]).metrics["baseline"]) == 0.5
    assert float(loss([example(1, -4.0), example(2, -1.0)]).metrics["baseline"]) == 1.0
    assert float(loss([example(2, -1.0)]).metrics["baseline"]) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DPOObjective(beta=0.0), "beta 0.0 is not allowed: dpo needs a number above 0"),
        (lambda: IPOObjective(tau=-1.0), "tau -1.0 is not allowed: ipo"),
        (lambda: IPOObjective(reduction="max"), "reduction 'max' is not known to ipo: give sum or mean"),
        (lambda: CDPOObjective(label_smoothing=0.5), "label_smoothing 0.5 is not allowed: cdpo"),
        (lambda: RobustDPOObjective(flip_share=0.7), r"wrong labels in \[0, 0.5\)"),
        (lambda: RSOHingeObjective(beta=math.inf), "beta inf is not allowed"),
        (lambda: KTOObjective(desirable_weight=0.0), "desirable_weight 0.0 is not allowed: kto"),
        (lambda: RRHFObjective(rank_weight=0.0), "rank_weight 0.0 is not allowed: rrhf"),
        (lambda: PROObjective(sft_weight=-0.1), "sft_weight -0.1 is not allowed: pro"),
        (lambda: GPOObjective(function="savage"), "function 'savage' is not known to gpo: give logistic or"),
    ],
)
def test_impossible_dials_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
