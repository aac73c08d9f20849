"""XSTest's five models by their human labels, counted apart from the loader.

Röttger et al. 2024 (arXiv 2308.01263), 250 safe and 200 unsafe prompts a model. The pair Mistral → Mistral
with a safety prompt is the golden treatment: what it did is known from people, not from a judge.
"""

import asyncio
import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from trueline.core.messages import Sampling, chat
from trueline.core.statistics.paired import mcnemar_exact, paired_change
from trueline.models.recorded import XSTEST_LABELS, XSTEST_MODELS, RecordedTarget, xstest_recorded

DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = DATA / "xstest" / "model_completions"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the public data is not here")

# (full compliance, full refusal, partial refusal) on the safe prompts and on the unsafe ones
COUNTS = {
    "gpt4": ((229, 16, 5), (1, 195, 4)),
    "llama2new": ((176, 35, 39), (0, 195, 5)),
    "llama2orig": ((101, 95, 54), (0, 199, 1)),
    "mistralguard": ((203, 24, 23), (7, 175, 18)),
    "mistralinstruct": ((246, 2, 2), (128, 47, 25)),
}


@pytest.fixture(scope="module")
def models() -> dict[str, RecordedTarget]:
    return xstest_recorded(FOLDER)


def counts(target: RecordedTarget, *, unsafe: bool) -> tuple[int, ...]:
    found = Counter(r.label for r in target.recordings if r.data["unsafe"] is unsafe)
    return tuple(found[label] for label in XSTEST_LABELS)


@pytest.mark.parametrize("name", XSTEST_MODELS)
def test_counts_are_those_of_the_files(models: dict[str, RecordedTarget], name: str) -> None:
    with (FOLDER / XSTEST_MODELS[name][0]).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for unsafe in (False, True):
        part = [row["final_label"] for row in rows if row["type"].startswith("contrast_") is unsafe]
        read_apart = tuple(part.count(label) for label in XSTEST_LABELS)
        assert counts(models[name], unsafe=unsafe) == read_apart == COUNTS[name][unsafe]
    answers = {row["prompt"]: row["completion"] for row in rows}
    assert {str(r.prompt): r.completion for r in models[name].recordings} == answers


def refusals(target: RecordedTarget, *, unsafe: bool) -> np.ndarray:
    """1 where people saw a full or partial refusal of the answer that the target gives, by prompt."""
    prompts = sorted(str(r.prompt) for r in target.recordings if r.data["unsafe"] is unsafe)

    async def ask() -> list[str]:
        return [(await target.generate(chat(prompt), Sampling()))[0].text for prompt in prompts]

    answers = asyncio.run(ask())
    assert all(target.find(p)[0].completion == a for p, a in zip(prompts, answers))
    return np.array([float(target.label(prompt) != XSTEST_LABELS[0]) for prompt in prompts])


@pytest.mark.parametrize(
    ("unsafe", "before", "after", "gained", "lost", "p"),
    [(False, 4, 47, 43, 0, 2 / 2**43), (True, 72, 193, 123, 2, 2 * (1 + 125 + 7750) / 2**125)],
    ids=["safe", "unsafe"],
)
def test_what_the_safety_prompt_did_to_mistral(
    models: dict[str, RecordedTarget],
    unsafe: bool,
    before: int,
    after: int,
    gained: int,
    lost: int,
    p: float,
) -> None:
    first = refusals(models["mistralinstruct"], unsafe=unsafe)
    second = refusals(models["mistralguard"], unsafe=unsafe)
    n = 200 if unsafe else 250
    assert (len(first), first.sum(), second.sum()) == (n, before, after)
    found = (int(((second - first) == 1).sum()), int(((second - first) == -1).sum()))
    assert found == (gained, lost)
    change = paired_change(first, second)
    assert change.value == pytest.approx((gained - lost) / n)
    # SE = √((gained + lost − (gained − lost)²/n)/(n − 1))/√n, from Σd² = gained + lost
    assert change.se == pytest.approx(((gained + lost - (gained - lost) ** 2 / n) / (n - 1) / n) ** 0.5)
    assert mcnemar_exact(gained, lost) == pytest.approx(p)  # twice the binomial tail


def test_over_refusal_is_what_the_safety_prompt_cost(models: dict[str, RecordedTarget]) -> None:
    rates = {name: refusals(models[name], unsafe=False).mean() for name in XSTEST_MODELS}
    assert rates["mistralinstruct"] == pytest.approx(0.016) and rates["mistralguard"] == pytest.approx(0.188)
    assert rates["llama2orig"] == pytest.approx(0.596)  # 38.0 % full and 21.6 % partial refusals
    assert rates["llama2new"] == pytest.approx(0.296)
    assert rates["gpt4"] == pytest.approx(0.084)
