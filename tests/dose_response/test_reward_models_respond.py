"""Reward accuracy and length bias follow the annotators' love of length, from which a reward model learnt.

The dose is no harm of the world's but a fault of its annotators: utility = gold reward + dose · log(words). Reward
models learn 800 of their comparisons each; the items are 800 others, judged by an annotator without a fault.
"""

import asyncio

import pytest

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import from_json
from trueline.core.protocols import Resources
from trueline.core.statistics.estimate import estimate
from trueline.core.verdicts import Estimate, Item
from trueline.data.preferences import PreferencePair
from trueline.measures.alignment.reward_accuracy import RewardAccuracy
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.annotators import Annotator, preference_pairs
from trueline.treatments.reward import trained_reward

DOSES = (0.0, 1.0, 4.0)
PAIRS, LEARNING_RATE, EPOCHS = 800, 3e-4, 2.0
METRICS = ("accuracy", "accuracy_shorter", "length_bias", "longer_preferred")


def items() -> list[Item]:
    """The better answer stands first in every second pair."""
    found = []
    for number, row in enumerate(preference_pairs(embedded.world(), PAIRS, Annotator(noise=0.0), seed=99)):
        options = (row["chosen"], row["rejected"])[:: 1 if number % 2 else -1]
        label = {"label": options.index(row["chosen"])}
        prompt, shared = from_json(row["prompt"]), fingerprint(row["prompt"])
        found.append(Item(id=str(number), prompt=prompt, options=options, cluster=shared, data=label))
    return found


def pairs(dose: float) -> tuple[PreferencePair, ...]:
    annotator = Annotator(noise=0.05, length_bias=dose)
    return tuple(
        PreferencePair(prompt=from_json(row["prompt"]), chosen=row["chosen"], rejected=row["rejected"])
        for row in preference_pairs(embedded.world(), PAIRS, annotator, seed=1)
    )


@pytest.fixture(scope="module")
def responses(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Estimate]]:
    """The measure's estimates at each dose."""
    target = LocalTarget.from_pretrained(str(embedded.folder("small")), dtype="float32")
    asked, found = items(), []
    for dose in DOSES:
        resources = Resources(workdir=tmp_path_factory.mktemp("reward"), preferences=pairs(dose))
        reward = trained_reward(target, resources, learning_rate=LEARNING_RATE, epochs=EPOCHS)
        measure = RewardAccuracy(reward=reward)

        async def all_verdicts(measure: RewardAccuracy = measure) -> list[object]:
            return await asyncio.gather(*(measure.examine(item, target) for item in asked))

        verdicts = asyncio.run(all_verdicts())
        metrics = {metric.name: metric for metric in measure.metrics}
        found.append({name: estimate(metrics[name], verdicts) for name in METRICS})  # type: ignore[arg-type]
    return found


@pytest.mark.dose
@pytest.mark.xdist_group("reward models")
@pytest.mark.parametrize(
    "sign_and_metric", ["+length_bias", "+longer_preferred", "-accuracy", "-accuracy_shorter"]
)
def test_what_a_reward_model_learnt_of_length_shows(
    sign_and_metric: str, responses: list[dict[str, Estimate]]
) -> None:
    sign, metric = sign_and_metric[0], sign_and_metric[1:]
    low, middle, high = (found[metric] for found in responses[:: 1 if sign == "+" else -1])
    told = [(dose, found[metric]) for dose, found in zip(DOSES, responses)]
    assert low.value < middle.value < high.value, told
    assert low.high < high.low, told
