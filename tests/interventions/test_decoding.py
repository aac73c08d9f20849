"""Combined decoding: the arithmetic by hand, and that what is sampled is what is scored."""

import asyncio
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import direction, make, target

from trueline.core.errors import InputError
from trueline.core.messages import Sampling
from trueline.interventions.decoding import (
    DExpertsCombination,
    SafeDecodingCombination,
    dexperts,
    safe_decoding,
)
from trueline.interventions.guided import Guide
from trueline.interventions.steering import AddVector


def logs(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


def test_dexperts_by_hand():
    # p · (p⁺/p⁻)^α with α = 2: 0.5 · (0.4/0.2)² = 2, 0.3 · (0.4/0.4)² = 0.3, 0.2 · (0.2/0.4)² = 0.05; sum 2.35
    found = dexperts(logs([0.5, 0.3, 0.2]), logs([0.4, 0.4, 0.2]), logs([0.2, 0.4, 0.4]), alpha=2.0)
    assert found.exp()[0].tolist() == pytest.approx([2 / 2.35, 0.3 / 2.35, 0.05 / 2.35])


def test_safe_decoding_by_hand():
    # base ranks a b c d, expert d b a c. First one: {a}, {d}: none shared; two: {b}; three: {a, b}, enough.
    # a: 0.5 + 3 (0.2 − 0.5) = −0.4 → 0; b: 0.3 + 3 (0.3 − 0.3) = 0.3: all mass on b
    base, expert = logs([0.5, 0.3, 0.15, 0.05]), logs([0.2, 0.3, 0.1, 0.4])
    found = safe_decoding(base, expert, alpha=3.0, candidates=2)
    assert found.exp()[0].tolist() == pytest.approx([0, 1, 0, 0])
    # with α = 1 the expert's own among them: 0.2 and 0.3
    found = safe_decoding(base, expert, alpha=1.0, candidates=2)
    assert found.exp()[0].tolist() == pytest.approx([0.4, 0.6, 0, 0])


def test_candidates_that_the_expert_likes_less_are_not_lost_together():
    # only a is shared, and 0.9 + 3 (0.2 − 0.9) < 0
    found = safe_decoding(logs([0.9, 0.06, 0.04]), logs([0.45, 0.25, 0.3]), alpha=3.0, candidates=1)
    assert found.exp()[0].tolist() == pytest.approx([1, 0, 0])


@given(st.integers(0, 10**6), st.floats(0, 5), st.integers(1, 9))
def test_combinations_are_distributions(seed, alpha, candidates):
    draw = torch.Generator().manual_seed(seed)
    base, expert, other = (torch.randn(3, 7, generator=draw).double().log_softmax(-1) for _ in range(3))
    for found in (
        dexperts(base, expert, other, alpha=alpha),
        safe_decoding(base, expert, alpha=alpha, candidates=candidates),
    ):
        assert torch.allclose(found.exp().sum(-1), torch.ones(3).double())
    alike = safe_decoding(base, base, alpha=alpha, candidates=candidates).exp()
    kept = alike > 0
    assert int(kept.sum()) == 3 * min(candidates, 7)
    expected = torch.where(kept, base.exp(), 0)
    assert torch.allclose(alike, expected / expected.sum(-1, keepdim=True))


def models():
    """A base, and two of the same weights that are steered apart."""
    base = target()
    return (base, *(base.with_intervention(AddVector(vector=s * direction(), layer=1)) for s in (1.0, -1.0)))


COMBINATIONS = {
    "dexperts": (DExpertsCombination(alpha=0.5), 3),
    "safe_decoding": (SafeDecodingCombination(alpha=0.8, tokens=2, candidates=20), 2),
}
PROMPTS = ["w1 w2", "w9", "w4 w5", "w30 w31 w32 w33"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_what_is_sampled_is_what_is_scored(name):
    combine, count = COMBINATIONS[name]
    base, *helpers = models()[:count]
    guide = Guide(base, helpers, combine)
    settings = Sampling(max_tokens=5, temperature=1.0, samples=3)

    async def both(prompt):
        drawn = await guide.generate(prompt, settings)
        return drawn, await guide.score(prompt, [f" {c.text.strip()}" for c in drawn])

    async def together():
        return await asyncio.gather(*map(both, PROMPTS))

    seen = asyncio.run(together())
    compared = 0
    for drawn, scored in seen:
        for completion, score in zip(drawn, scored, strict=True):
            if len(completion.text.split()) == completion.tokens:  # special tokens are not in the text
                assert score.token_logprobs == pytest.approx(completion.logprobs, abs=1e-4)
                compared += 1
    assert compared >= 6
    alone = [asyncio.run(both(prompt)) for prompt in PROMPTS]
    for (drawn, _), (other, _) in zip(seen, alone):
        assert [c.token_ids for c in drawn] == [c.token_ids for c in other]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_first_tokens_come_as_often_as_their_scores_say(name):
    combine, count = COMBINATIONS[name]
    base, *helpers = models()[:count]
    guide, n = Guide(base, helpers, combine), 2000
    drawn = asyncio.run(guide.generate("w7", Sampling(max_tokens=1, temperature=1.0, samples=n)))
    counts = Counter(c.token_ids[0] for c in drawn)
    words = {token: base.tokenizer.convert_ids_to_tokens(token) for token in counts}
    common = [token for token, _ in counts.most_common(6) if words[token].startswith("w")]
    scores = asyncio.run(guide.score("w7", [f" {words[token]}" for token in common]))
    assert len(common) >= 2
    for token, score in zip(common, scores):
        p = math.exp(score.logprob)
        assert counts[token] / n == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))


def test_nothing_is_changed_without_weight():
    base, expert, other = models()
    guide = Guide(base, (expert, other), DExpertsCombination(alpha=0.0))
    settings = Sampling(max_tokens=6, temperature=1.0, samples=2, seed=3)

    async def pair(prompt):
        return await guide.generate(prompt, settings), await base.generate(prompt, settings)

    for prompt in PROMPTS:
        guided, plain = asyncio.run(pair(prompt))
        assert [c.token_ids for c in guided] == [c.token_ids for c in plain]
        assert asyncio.run(guide.score(prompt, [" w3 w4"]))[0].logprob == pytest.approx(
            asyncio.run(base.score(prompt, [" w3 w4"]))[0].logprob, abs=1e-4
        )


def test_after_its_first_tokens_the_base_decodes_alone():
    base, expert, _ = models()
    guide = Guide(base, (expert,), SafeDecodingCombination(alpha=1.0, tokens=2, candidates=60))
    guided = asyncio.run(guide.score("w1", [" w3 w4 w5 w6"]))[0].token_logprobs
    of_base = asyncio.run(base.score("w1", [" w3 w4 w5 w6"]))[0].token_logprobs
    of_expert = asyncio.run(expert.score("w1", [" w3 w4 w5 w6"]))[0].token_logprobs
    # α = 1 over all tokens is the expert itself
    assert guided[:2] == pytest.approx(of_expert[:2], abs=1e-4)
    assert guided[2:] == pytest.approx(of_base[2:], abs=1e-4)
    assert abs(of_base[0] - of_expert[0]) > 1e-2


def test_an_error_goes_to_those_who_asked():
    base, expert, other = models()
    guide = Guide(base, (expert, other), DExpertsCombination())
    long = " ".join(["w1"] * 70)

    async def both():
        return await asyncio.gather(
            guide.generate(long, Sampling()),
            guide.generate("w1", Sampling(max_tokens=2)),
            return_exceptions=True,
        )

    failed, fine = asyncio.run(both())
    assert "context window" in str(failed) and fine[0].tokens >= 1


def test_models_of_other_vocabularies_are_refused():
    base, other = target(), target()
    other.tokenizer.add_tokens(["new"])
    with pytest.raises(InputError, match="another vocabulary"):
        Guide(base, (other,), SafeDecodingCombination())


def test_the_naive_computation_agrees():
    plain = make()
    base, expert, other = models()
    guide = Guide(base, (expert, other), DExpertsCombination(alpha=1.5))
    (score,) = asyncio.run(guide.score("w1 w2", [" w8 w9"]))
    tokens = torch.tensor([base.encoding.encode("w1 w2", " w8 w9")])
    rows = []
    for sign in (0.0, 1.0, -1.0):
        with torch.no_grad(), AddVector(vector=sign * direction(), layer=1).entered(plain):
            rows.append(plain(tokens).logits[0])
    mixed = torch.log_softmax(rows[0] + 1.5 * (rows[1] - rows[2]), dim=-1)
    end = tokens.shape[1]
    expected = [float(mixed[i - 1, tokens[0, i]]) for i in range(end - 2, end)]
    assert score.token_logprobs == pytest.approx(expected, abs=1e-4)
