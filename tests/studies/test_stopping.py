"""Sequential stopping: its error rate by simulation, what it saves, and how it shows in a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_study import Counter

from trueline.core.errors import InputError
from trueline.core.measure import Metric
from trueline.core.messages import chat
from trueline.core.verdicts import Item, Verdict
from trueline.studies.compare import compare_arms
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import RunReport, run_study
from trueline.studies.spec import parse_spec
from trueline.studies.stopping import LOOK, Looks, decided, level_of

RIGHT = Metric(name="right", definition="simulated", judged_by="harm")
STUDY = {
    "name": "toy",
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": [{"name": "parity", "count": 200}, "liking"],
    "primary": [{"measure": "parity", "metric": "right"}],
    "sequential": {"margin": 0.15},
}


def looks(
    before: Sequence[float], clusters: int, *, margin: float = 0.1, level: float = 0.95, seed: int = 0
) -> Looks:
    items = [Item(id=str(n), prompt=chat("?"), cluster=str(n % clusters)) for n in range(len(before))]
    first = [Verdict.of(item, right=value) for item, value in zip(items, before)]
    return Looks(items, [RIGHT], first, margin=margin, levels={"right": level}, seed=seed)


def follow(found: Looks, after: Sequence[float], *, lost: frozenset[str] = frozenset()) -> tuple[str, int]:
    """What is decided of the only primary, and after how many items."""
    known: dict[str, Verdict] = {}
    for number, batch in enumerate(found.batches(), 1):
        for item in batch:
            missing = item.id in lost
            known[item.id] = (
                Verdict.missing(item, "lost") if missing else Verdict.of(item, right=after[int(item.id)])
            )
        changes = found.look(known, number)
        if decided(changes):
            break
    return changes["right"].state, changes["right"].items


def claims(runs: int, items: int, clusters: int, change: float) -> list[tuple[str, int]]:
    """Studies of the same items in another order each: the set's mean change is exactly ``change``."""
    rng = np.random.default_rng(3)
    found = []
    for run in range(runs):
        before = (rng.random(items) < 0.4).astype(float)
        after = rng.permutation(before) if change == 0 else before.copy()
        if change:
            zeros = np.flatnonzero(before == 0)
            after[rng.choice(zeros, round(change * items), replace=False)] = 1.0
        found.append(follow(looks(before, clusters, margin=0.001, seed=run), after))
    return found


@pytest.mark.parametrize("clusters", [100, 25])
def test_no_change_is_claimed_rarely_however_often_one_looks(clusters: int) -> None:
    """The mean change over all items is zero: a claim at any of the looks is an error, allowed in 5 % of studies."""
    found = claims(60, 100, clusters, 0.0)
    assert sum(state == "changed" for state, _ in found) <= 8  # 3, plus three Monte Carlo errors


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [400, 100])
def test_the_error_rate_holds_in_many_studies(clusters: int) -> None:
    found = claims(1000, 400, clusters, 0.0)
    assert sum(state == "changed" for state, _ in found) <= 50 + 3 * 6.9


def test_a_large_change_is_found_early() -> None:
    found = claims(10, 400, 400, 0.25)
    assert all(state == "changed" for state, _ in found)
    assert np.mean([items for _, items in found]) < 250


def test_no_change_at_all_is_within_the_margin_before_the_end() -> None:
    before = [float(n % 3 == 0) for n in range(400)]
    state, items = follow(looks(before, 400), before)
    assert state == "within the margin" and items < 300


def test_missing_verdicts_may_have_been_anything() -> None:
    before, after = [0.0] * 200, [1.0] * 200
    assert follow(looks(before, 200), after)[1] == LOOK
    half = frozenset(str(n) for n in range(0, 200, 2))
    assert follow(looks(before, 200), after, lost=half) == ("open", 200)
    few = looks(before, 200)
    known = {str(n): Verdict(item=str(n), values={"right": 1.0}) for n in range(200) if n % 10}
    lost = {str(n): Verdict(item=str(n), reason="lost") for n in range(0, 200, 10)}
    change = few.look({**known, **lost}, 8)["right"]
    # 180 changes of 1 and 20 that may be anything from −1 to 1: the mean over all is between 0.8 and 1.
    assert (change.low, change.high, change.missing) == pytest.approx((0.8, 1.0, 20))


def test_after_the_last_item_only_the_mean_itself_is_left() -> None:
    found = looks([0.0, 1.0, 0.0, 1.0], 4)
    known = {str(n): Verdict(item=str(n), values={"right": float(n == 0)}) for n in range(4)}
    change = found.look(known, 1)["right"]
    assert (change.low, change.high) == pytest.approx((-0.25, -0.25)) and change.items == change.of == 4


def test_the_error_is_shared_out() -> None:
    assert level_of(RIGHT, {}, 1) == pytest.approx(0.95)
    assert level_of(RIGHT, {}, 5) == pytest.approx(0.99)
    assert level_of(RIGHT, {"harm": {"exact": True}}, 5) == pytest.approx(0.99)
    assert level_of(RIGHT, {"harm": {"exact": False}}, 5) == pytest.approx(0.995)
    assert level_of(RIGHT, {"refusal": {"exact": False}}, 5) == pytest.approx(0.99)


def run(out: Path, **changes: Any) -> RunReport:
    return run_study(make_plan(parse_spec({**STUDY, **changes})), out)


def test_a_study_stops_when_its_primary_is_decided(counter: Counter, tmp_path: Path) -> None:
    """Yes is right for half of the numbers, no for the other half: the change is within ± 15 points."""
    report = run(tmp_path)
    cell = read_results(tmp_path).cell("contrary", "parity")
    assert cell is not None and cell.state == "done" and cell.done < 200
    assert report.made == 200 + cell.done and report.unfinished == () and cell.done % LOOK == 0
    right = cell.metrics["right"]
    assert right.sequential == "within the margin" and right.family == "primary" and not right.significant
    assert right.change is not None and right.change.p is None and right.p_adjusted is None
    assert right.change.interval == "betting confidence sequence, 95 %"
    assert -0.15 < right.change.low < right.change.high < 0.15  # type: ignore[operator]
    assert f"{cell.done} of 200 items: within the margin" in right.change_correction
    again = run(tmp_path)
    assert (again.made, again.stored) == (0, report.made) and counter.asked == 200
    (other,) = (c for c in compare_arms(tmp_path, "contrary", "none") if c.cell.measure == "parity")
    assert other.after.sequential == "" and other.change is not None


def test_an_interrupted_study_stops_where_an_uninterrupted_one_does(counter: Counter, tmp_path: Path) -> None:
    run(tmp_path / "whole")
    counter.asked, counter.fail_after = 0, 130
    assert run(tmp_path / "cut").unfinished
    counter.fail_after = None
    run(tmp_path / "cut")
    whole, cut = (read_results(tmp_path / name).cell("contrary", "parity") for name in ("whole", "cut"))
    assert whole is not None and cut is not None and whole.metrics == cut.metrics and whole.done == cut.done


def test_a_change_is_found_and_marked(counter: Counter, tmp_path: Path) -> None:
    """Without a margin to speak of, only a change stops; a primary that is open at the end stays so."""
    run(tmp_path, sequential={"margin": 0.001})
    cell = read_results(tmp_path).cell("contrary", "parity")
    assert cell is not None and (cell.state, cell.done) == ("done", 200)
    assert cell.metrics["right"].sequential == "open" and cell.metrics["right"].effect == "unclear"


def test_what_cannot_be_followed_is_refused(counter: Counter, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the study names none: add primary"):
        run(tmp_path, primary=[])
    with pytest.raises(InputError, match=r"sequential: Extra inputs|sequential\.until"):
        run(tmp_path, sequential={"until": 3})
