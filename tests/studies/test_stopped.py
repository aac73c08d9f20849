"""Labels of a cell that sequential stopping ended early: worked arithmetic, coverage under stopping, a study."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_study import Counter

from trueline.core.measure import Metric
from trueline.core.messages import chat
from trueline.core.statistics import change, estimate
from trueline.core.verdicts import Item, Verdict
from trueline.studies.correcting import Corrected, JudgeRecord
from trueline.studies.drawing import DrawOrder
from trueline.studies.labels import choose_metric, draw, put_label, sheet
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec
from trueline.studies.stopped import NO_INTERVAL, Decided, Followed
from trueline.studies.stopping import Looks, decided
from trueline.studies.store import Store

RIGHT = Metric(name="right", definition="simulated", judged_by="harm")
JUDGE = JudgeRecord(name="noisy", fingerprint="f", exact=False)


def verdicts(items: list[Item], values: Any) -> list[Verdict]:
    return [
        Verdict.missing(item, "lost") if np.isnan(value) else Verdict.of(item, right=float(value))
        for item, value in zip(items, values)
    ]


def decide(
    before: list[Verdict], after: list[Verdict], truth: Any, *, labelled: int, margin: float = 0.1
) -> Decided:
    """The change of an only primary, with the first labels in order; ``truth`` by item: (before, after)."""
    order = DrawOrder(before, seed=0)
    stored = {
        "value": 0.0, "low": -1.0, "high": 1.0, "level": 0.975, "state": "open", "items": len(after),
        "of": len(before), "missing": 0, "clusters": len(after),
    }  # fmt: skip
    followed = Followed(order=order, changes={"right": stored}, margin=margin, primaries=1)
    have = {verdict.item for verdict in after}
    first = [item for _, members in order.counted(RIGHT).clusters for item in members if item in have]
    labels = tuple({item: truth[item][arm] for item in first[:labelled]} for arm in (0, 1))
    shared = [verdict for verdict in before if verdict.item in have]
    usual = Corrected(estimate=change(RIGHT, shared, after))
    return followed.change(RIGHT, shared, after, labels, JUDGE, usual)


def test_everything_asked_and_labelled_leaves_the_true_change() -> None:
    """Judge: 10 of 40 rise. Truth: 20 rise. Both means are known whole, so nothing is left to doubt: + 20/40."""
    items = [Item(id=str(n), prompt=chat("?")) for n in range(40)]
    before, after = verdicts(items, [0.0] * 40), verdicts(items, [float(n < 10) for n in range(40)])
    found = decide(before, after, {str(n): (0.0, float(n < 20)) for n in range(40)}, labelled=40)
    result = found.corrected.estimate
    assert (result.value, result.low, result.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.state == "changed" and "corrected with 40 labels" in found.corrected.words


def test_a_missing_verdict_may_have_been_anything_and_is_no_error_of_the_judge() -> None:
    """4 of 40 have none after: whatever they are, the change lies within ± 4/40 of the others' 18/40."""
    items = [Item(id=str(n), prompt=chat("?")) for n in range(40)]
    told = [float("nan") if n < 4 else float(n < 22) for n in range(40)]
    before, after = verdicts(items, [0.0] * 40), verdicts(items, told)
    found = decide(before, after, {str(n): (0.0, float(n < 22)) for n in range(40)}, labelled=40)
    assert (found.corrected.estimate.low, found.corrected.estimate.high) == pytest.approx((0.35, 0.55))
    assert found.corrected.estimate.missing == 4


def test_too_few_labels_leave_the_runs_own_sequence() -> None:
    items = [Item(id=str(n), prompt=chat("?")) for n in range(60)]
    same = verdicts(items, [0.0] * 60)
    order = [item for _, members in DrawOrder(same, seed=0).counted(RIGHT).clusters for item in members]
    answered = [verdict for verdict in same if verdict.item in set(order[:50])]
    found = decide(same, answered, {str(n): (0.0, 0.0) for n in range(60)}, labelled=20)
    assert found.state == "open" and found.corrected.judged is None
    assert (found.corrected.estimate.low, found.corrected.estimate.high) == (-1.0, 1.0)


def test_labels_behind_a_gap_are_left_out() -> None:
    items = [Item(id=str(n), prompt=chat("?")) for n in range(100)]
    same = verdicts(items, [0.0] * 100)
    order = [item for _, members in DrawOrder(same, seed=0).counted(RIGHT).clusters for item in members]
    followed = Followed(order=DrawOrder(same, seed=0), changes={}, margin=0.1, primaries=1)
    usual = Corrected(estimate=estimate(RIGHT, same[:90]))
    have = set(order[:90])
    answered = [verdict for verdict in same if verdict.item in have]
    labels = dict.fromkeys([*order[:40], *order[60:80]], 0.0)
    found = followed.level(RIGHT, answered, labels, JUDGE, usual)
    assert "corrected with 40 labels" in found.words and found.judged is not None
    assert found.estimate.high < 0.35


def test_what_is_no_mean_keeps_its_value_and_loses_its_interval() -> None:
    items = [Item(id=str(n), prompt=chat("?")) for n in range(100)]
    some = verdicts(items, [float(n % 2) for n in range(100)])
    metric = Metric(
        name="right",
        definition="d",
        kind="statistic",
        statistic=lambda columns, weights: float(weights @ columns["right"]),
    )
    usual = Corrected(estimate=estimate(metric, some[:50]))
    followed = Followed(order=DrawOrder(some, seed=0), changes={}, margin=0.1, primaries=1)
    found = followed.level(metric, some[:50], {}, None, usual)
    assert found.words == NO_INTERVAL and found.estimate.value == usual.estimate.value
    assert usual.estimate.low is not None and found.estimate.low is None and found.estimate.interval == "none"


def simulate(runs: int, items: int, true_change: float) -> tuple[int, int]:
    """How often the corrected interval misses the true change of the whole set, and how often cells stopped early.

    The judge misses three in ten harms and flags one in ten other answers, after treatment only.
    """
    rng = np.random.default_rng(7)
    missed = early = 0
    asked = [Item(id=str(n), prompt=chat("?")) for n in range(items)]
    for _ in range(runs):
        truth = np.stack([rng.random(items) < 0.5, rng.random(items) < 0.5 + true_change]).astype(float)
        wrong = np.where(truth[1] == 1, rng.random(items) < 0.3, rng.random(items) < 0.1)
        said = np.where(wrong, 1 - truth[1], truth[1])
        before = verdicts(asked, truth[0])
        looks = Looks(asked, [RIGHT], before, margin=0.1, levels={"right": 0.975}, seed=0)
        after: list[Verdict] = []
        for number, batch in enumerate(looks.batches(), 1):
            after += verdicts(batch, [said[int(item.id)] for item in batch])
            if decided(looks.look({v.item: v for v in after}, number)):
                break
        early += len(after) < items
        known = {str(n): (truth[0, n], truth[1, n]) for n in range(items)}
        found = decide(before, after, known, labelled=100).corrected.estimate
        assert found.low is not None and found.high is not None
        mean = float((truth[1] - truth[0]).mean())
        missed += not found.low - 1e-9 <= mean <= found.high + 1e-9
    return missed, early


def test_the_corrected_interval_holds_wherever_a_cell_stopped() -> None:
    missed, early = simulate(12, 200, -0.4)
    assert missed <= 2 and early >= 10


@pytest.mark.slow
@pytest.mark.parametrize("true_change", [0.0, -0.2, -0.4])
def test_the_corrected_interval_holds_in_many_studies(true_change: float) -> None:
    assert simulate(400, 300, true_change)[0] <= 20 + 3 * 4.4


STUDY = {
    "name": "toy",
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": [{"name": "parity", "count": 200}],
    "primary": [{"measure": "parity", "metric": "right"}],
    "sequential": {"margin": 0.15},
}


def labelled(folder: Path, n: int) -> list[str]:
    """Label n items as if every 'no' were right and every 'yes' wrong; returns the items."""
    store = Store(folder)
    plan = store.meta("plan")[""]
    sample = draw(store, plan, *choose_metric(plan, "parity", "right"), "direct", n, 0)
    for row in sheet(store, plan, sample):
        put_label(store, sample, row, float(row.answers[0] == "no"), "me")
    store.close()
    return list(sample.items)


def test_labels_of_a_study_that_stopped_early_decide_anew(counter: Counter, tmp_path: Path) -> None:
    """The judge saw no change, and stopped for it; people find that every answer of the treated arm is right."""
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    before = read_results(tmp_path).cell("contrary", "parity")
    assert before is not None and before.done < 200
    level = before.metrics["right"]
    assert level.estimate.interval == "betting confidence sequence, 95 %"
    assert level.correction == f"asked sequentially, {before.done} of 200 items"

    items = labelled(tmp_path, 60)
    answered = {row.verdict.item for row in Store(tmp_path, read_only=True).verdicts(before.key).values()}
    assert len(items) == 60 and set(items) <= answered
    assert labelled(tmp_path, 100)[:60] == items  # a larger n adds
    assert len(labelled(tmp_path, 1000)) == before.done  # and ends where the cell did

    results = read_results(tmp_path)
    cell = results.cell("contrary", "parity")
    assert cell is not None
    right = cell.metrics["right"]
    assert right.change is not None and right.change.low is not None and right.change.high is not None
    assert right.sequential == "changed" and right.effect == "better"
    assert 0.5 < right.change.low < 0.95 < right.change.high  # 13 has no verdict before
    assert right.change.interval == "two betting confidence sequences, 95 % together"
    assert (
        f"corrected with {before.done - 1} labels in the order of asking: changed" in right.change_correction
    )
    assert right.judged is not None and right.estimate.low is not None and right.estimate.low > 0.5
    baseline = results.cell("none", "parity")
    assert baseline is not None
    assert baseline.metrics["right"].estimate.interval.startswith("prediction-powered")


def test_two_arms_that_both_stopped_are_compared_by_a_sequence(counter: Counter, tmp_path: Path) -> None:
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    cell = read_results(tmp_path, baseline="contrary").cell("none", "parity")
    assert cell is not None and cell.metrics["right"].change is not None
    assert cell.metrics["right"].change.p is None and cell.metrics["right"].sequential == ""
    assert cell.metrics["right"].change.interval == "betting confidence sequence, 95 %"
