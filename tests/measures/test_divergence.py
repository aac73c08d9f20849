"""Divergence: nothing for the model itself, more the further it is steered, and not measurable behind best-of-n."""

import asyncio
from pathlib import Path

import pytest

from trueline.core.errors import InputError
from trueline.core.protocols import Resources
from trueline.data.labelled import labelled
from trueline.measures.alignment.divergence import OTHER_TOKENS, Divergence
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.contrasts import labelled_requests
from trueline.testbed.gold import GoldReward
from trueline.testbed.items import items
from trueline.treatments.best_of_n import BestOfN
from trueline.treatments.refusal_steering import RefusalSteering


@pytest.fixture(scope="module")
def base():
    return LocalTarget.from_pretrained(embedded.folder("tiny"), dtype="float32")


def divergences(base, target):
    measure = Divergence(reference=base, samples=4, max_tokens=24)
    asked = items(embedded.world(), "unseen")[:40]

    async def examine():
        return await asyncio.gather(*(measure.examine(item, target) for item in asked))

    return asyncio.run(examine())


def mean_kl(base, target):
    values = [verdict.values["kl"] for verdict in divergences(base, target) if not verdict.reason]
    assert len(values) > 20
    return sum(values) / len(values)


def test_the_model_itself_is_at_no_distance(base):
    assert mean_kl(base, base) == pytest.approx(0.0, abs=1e-5)  # sums round by how a batch falls out


def test_it_rises_with_the_scale_of_steering(base):
    rows = tuple(labelled(row) for row in labelled_requests(embedded.world()))
    resources = Resources(workdir=Path("unused"), requests=rows)
    steered = [RefusalSteering(scale=scale).apply(base, resources) for scale in (0.1, 0.3, 0.6)]
    weak, middle, strong = (mean_kl(base, target) for target in steered)
    assert 0 < weak < middle < strong


def test_a_draw_that_reads_back_otherwise_is_no_verdict(base):
    """A model steered to pieces writes what its tokenizer would never write."""
    rows = tuple(labelled(row) for row in labelled_requests(embedded.world()))
    broken = RefusalSteering(scale=3.0).apply(base, Resources(workdir=Path("unused"), requests=rows))
    verdicts = divergences(base, broken)
    missing = [verdict for verdict in verdicts if verdict.reason == OTHER_TOKENS]
    assert len(missing) > len(verdicts) / 2


def test_best_of_n_does_not_draw_from_what_it_scores(base):
    world = embedded.world()
    chosen = BestOfN(n=2).apply(base, Resources(workdir=Path("unused"), reward=GoldReward(world)))
    assert not Divergence.needs <= chosen.capabilities


def test_without_a_reference_it_says_so(base):
    measure, item = Divergence(), items(embedded.world(), "unseen")[0]
    with pytest.raises(InputError, match="reference"):
        asyncio.run(measure.examine(item, base))
