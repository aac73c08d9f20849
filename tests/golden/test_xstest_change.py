"""A paired change by a judge that errs more on one arm than on the other, against people's word on every answer.

Llama-2 and Mistral under two system prompts each, on XSTest's 450 prompts (Röttger et al. 2024, arXiv 2308.01263). A
list of refusal phrases finds 17 % of Mistral's refusals and 56 % of those under its safety prompt, so neither its own
difference nor one divided by the Se + Sp − 1 of a card pooled over the other models is the change (of Llama-2: −16.7
points become −30.2); labels of a random part of *these* answers give it.
"""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from measures.support import ScriptedTarget
from trueline.core.errors import InputError
from trueline.core.messages import last_user
from trueline.core.protocols import Resources
from trueline.core.statistics import ppi_change
from trueline.judges.label_sets import label_set
from trueline.judges.refusal_keywords import RefusalKeywords
from trueline.models.recorded import open_recorded
from trueline.studies.labels import choose_metric, draw, put_label, sheet
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec
from trueline.studies.store import Store
from trueline.treatments.replace import Replace

DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.skipif(not (DATA / "xstest").is_dir(), reason="the public data is not here")
MISTRAL = ("mistral", "mistral, safety prompt (held out)")
LLAMA = ("llama-2, original system prompt", "llama-2, no system prompt (held out)")
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def judged() -> dict[str, tuple[Floats, Floats]]:
    """(people's labels, the judge's word) of each source, by prompt."""
    judge = RefusalKeywords()
    rows = label_set("data:xstest").rows

    async def words() -> list[float]:
        return [float((await judge.judge(row.item, row.completion)).value or 0.0) for row in rows]

    said = asyncio.run(words())
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for row, word in zip(rows, said):
        found.setdefault(row.source, {})[row.item.id.split("/")[-1]] = (float(row.label), word)
    prompts = sorted(found["gpt-4"])
    assert all(sorted(answers) == prompts for answers in found.values()) and len(prompts) == 450
    return {
        source: (np.array([answers[p][0] for p in prompts]), np.array([answers[p][1] for p in prompts]))
        for source, answers in found.items()
    }


@pytest.mark.parametrize(
    ("pair", "true", "said", "by_pooled_card"),
    [(LLAMA, -0.167, -0.193, -0.302), (MISTRAL, 0.364, 0.278, 0.332)],
)
def test_neither_the_judges_difference_nor_a_pooled_card_is_the_change(
    judged: dict[str, tuple[Floats, Floats]],
    pair: tuple[str, str],
    true: float,
    said: float,
    by_pooled_card: float,
) -> None:
    before, after = pair
    others = [judged[source] for source in judged if source not in pair]
    human, word = (np.concatenate(part) for part in zip(*others))
    information = word[human == 1].mean() + (1 - word[human == 0]).mean() - 1
    changes = [float((judged[after][i] - judged[before][i]).mean()) for i in (0, 1)]
    assert [*changes, changes[1] / information] == pytest.approx([true, said, by_pooled_card], abs=5e-4)


@pytest.mark.parametrize("pair", [LLAMA, MISTRAL])
def test_labels_of_these_answers_give_the_change(
    judged: dict[str, tuple[Floats, Floats]], pair: tuple[str, str]
) -> None:
    """120 prompts drawn 200 times: intervals hold, and are narrower than those of the labels alone."""
    (old, old_said), (new, new_said) = (judged[source] for source in pair)
    truth = float((new - old).mean())
    rng = np.random.default_rng(0)
    held, widths, alone = 0, [], []
    for _ in range(200):
        drawn = rng.choice(len(old), 120, replace=False)
        first, second = np.full(len(old), np.nan), np.full(len(old), np.nan)
        first[drawn], second[drawn] = old[drawn], new[drawn]
        found = ppi_change(first, second, old_said, new_said)
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
        alone.append(2 * 1.98 * (new - old)[drawn].std(ddof=1) / 120**0.5)
    assert held >= 0.93 * 200 - 3 * (200 * 0.93 * 0.07) ** 0.5
    assert np.mean(widths) < np.mean(alone)


STUDY = {
    "targets": ["recorded:mistralinstruct"],
    "treatments": ["none", {"name": "replace", "label": "guard", "model": "recorded:mistralguard"}],
    "measures": [{"name": "xstest", "refusal": "refusal_keywords"}],
}


def test_a_study_labelled_by_people_finds_what_they_find(tmp_path: Path) -> None:
    """100 of XSTest's 250 safe prompts are labelled. People call 4 and 47 of the answers to all 250 refusals."""
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    before = read_results(tmp_path).cell("guard", "xstest")
    assert before is not None and before.metrics["over_refusal"].correction.startswith("uncorrected")

    store = Store(tmp_path)
    plan = store.meta("plan")[""]
    sample = draw(store, plan, *choose_metric(plan, "xstest", "over_refusal"), "direct", 100, 0)
    people = {
        (last_user(r.item.prompt), r.completion.text): float(r.label) for r in label_set("data:xstest").rows
    }
    for row in sheet(store, plan, sample):
        put_label(store, sample, row, people[row.request, row.answers[0]], "people")
    store.close()

    results = read_results(tmp_path)
    for arm, true in (("none", 4 / 250), ("guard", 47 / 250)):
        cell = results.cell(arm, "xstest")
        assert cell is not None
        level = cell.metrics["over_refusal"]
        assert level.correction.startswith("prediction-powered with 100 labels of 250")
        assert level.estimate.low <= true <= level.estimate.high and level.estimate.value >= 0
    change = results.cell("guard", "xstest").metrics["over_refusal"].change
    assert change.low <= 43 / 250 <= change.high and change.low > 0


def test_a_recording_follows_no_system_prompt_of_ours(tmp_path: Path) -> None:
    class Prompted(ScriptedTarget):
        def describe(self) -> dict[str, str]:
            return {"system_prompt": "Be nice."}

    with pytest.raises(InputError, match="unknown recorded model 'mistral': gpt4, "):
        open_recorded("recorded:mistral")
    with pytest.raises(InputError, match="cannot follow the target's system prompt 'Be nice"):
        Replace(model="recorded:gpt4").apply(Prompted(), Resources(workdir=tmp_path))
