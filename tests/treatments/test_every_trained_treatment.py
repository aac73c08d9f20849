"""What each trained treatment of the catalogue keeps: two steps give a new target, foreign options and data are
refused in one sentence."""

import asyncio
import json
import math

import pytest
import tiny_folder

from trueline.catalog import TREATMENTS, find, make
from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.protocols import Resources
from trueline.data.labelled import as_labelled
from trueline.data.rankings import as_rankings
from trueline.models.local import LocalTarget
from trueline.treatments.on_policy import OnPolicyTreatment
from trueline.treatments.trained import TrainedTreatment

TRAINED = [
    name
    for name in TREATMENTS
    if isinstance(find("treatment", name), type) and issubclass(find("treatment", name), TrainedTreatment)
]
TWO_STEPS = {"learning_rate": 1e-2, "steps": 2, "batch_size": 4}
SHORT_ROLLOUTS = {"samples": 2, "max_tokens": 4, "reward": "given"}
DIALS = {
    "spin": {"iterations": 1, "answer_tokens": 40},
    "rmu": {"layer": 0},
    "circuit_breakers": {"layers": [0, 1]},
    "minillm": {"max_tokens": 4},
    "replay": {"answer_tokens": 8, "share": 1.0},
}
ROWS = {  # kinds of data -> rows of that kind
    "preferences": tiny_folder.pairs(),
    "demonstrations": tiny_folder.demonstrations(),
    "safety": tiny_folder.demonstrations(),
    "labels": as_labelled(tiny_folder.pairs()),
    "forget": as_labelled(tiny_folder.pairs()),
    "rankings": as_rankings(tiny_folder.pairs()),
}


class Counts:
    """A reward and a cost: the share of a word among four."""

    def __init__(self, word):
        self.word = word

    def fingerprint(self):
        return f"counts {self.word}"

    def __call__(self, prompt, answers):
        return [answer.split().count(self.word) / 4 for answer in answers]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return LocalTarget.from_pretrained(tiny_folder.save(tmp_path_factory.mktemp("base")))


def treat(name, target, folder, **given):
    kind = find("treatment", name)
    dials = {**TWO_STEPS, **(SHORT_ROLLOUTS if issubclass(kind, OnPolicyTreatment) else {})}
    treatment = make("treatment", name, {**dials, **DIALS.get(name, {})})
    rest = {"reward": Counts("w3"), "cost": Counts("w4"), "targets": {"teacher": target}}
    return treatment.apply(target, Resources(workdir=folder, **{**ROWS, **rest, **given}))


def in_one_sentence(error):
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400
    return text


@pytest.mark.parametrize("name", TRAINED)
def test_two_steps_give_a_new_target(name, target, tmp_path):
    before = target.fingerprint()
    treated = treat(name, target, tmp_path)
    assert treated.fingerprint() != before == target.fingerprint()
    (score,) = asyncio.run(treated.score(chat("w1 w2"), ["w30 w31"]))
    assert math.isfinite(score.logprob)
    told = treated.describe()
    assert [line["name"] for line in told["treatments"]] == [name] and told["training"]["steps"] == 2
    (manifest,) = tmp_path.glob("*/manifest.json")
    assert all(math.isfinite(line["loss"]) for line in json.loads(manifest.read_text())["history"])


@pytest.mark.parametrize("name", TRAINED)
def test_an_option_that_it_does_not_have_is_refused(name):
    with pytest.raises(InputError, match=f"treatment '{name}' does not take the option 'no_such'") as error:
        make("treatment", name, {"no_such": 1})
    in_one_sentence(error)


def wrong_data():
    """Each kind of data that a treatment learns from, with rows that are none of it."""
    for name in TRAINED:
        for kind in find("treatment", name).resources:
            if kind not in ROWS:
                continue
            yield name, kind, ["w1 w2"] * 12
            prompts_alone = issubclass(find("treatment", name), OnPolicyTreatment) or name == "replay"
            if not prompts_alone or kind == "demonstrations":
                yield (
                    name,
                    kind,
                    ROWS["rankings" if kind in ("demonstrations", "safety") else "demonstrations"],
                )


@pytest.mark.parametrize(("name", "kind", "rows"), list(wrong_data()))
def test_the_wrong_kind_of_data_is_refused(name, kind, rows, target, tmp_path):
    with pytest.raises(InputError, match=rf"row \d+ .*is a {type(rows[0]).__name__}") as error:
        treat(name, target, tmp_path, **{kind: rows})
    in_one_sentence(error)
    assert not list(tmp_path.glob("*/manifest.json"))


@pytest.mark.parametrize("name", TRAINED)
def test_no_data_is_refused(name, target, tmp_path):
    with pytest.raises(InputError, match="give resources") as error:
        treat(name, target, tmp_path, **dict.fromkeys(ROWS))
    in_one_sentence(error)
