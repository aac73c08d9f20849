"""The fair comparison: what a file may say, and a small one run, resumed, extended and reported."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.reports.comparison import comparison_markdown, write_comparison
from trueline.studies.comparison import run as running
from trueline.studies.comparison.changes import possible
from trueline.studies.comparison.results import at_equal, read_comparison_results
from trueline.studies.comparison.run import Trial, chosen, read_record, run_comparison
from trueline.studies.comparison.spec import MethodSpec, parse_comparison, read_comparison
from trueline.studies.results import read_results
from trueline.testbed import build, embedded

RATES = {"learning_rate": [3e-3, 1e-2]}
SMALL = {
    "name": "small",
    "size": "tiny",
    "development": [1],
    "evaluation": [2],
    "seeds": [0, 1],
    "labels": 60,
    "compute": {"tokens": 8000},
    "measures": ["gold_reward", {"name": "divergence", "samples": 1, "max_tokens": 8}, "arc"],
    "limit": 25,
    "methods": [
        {"name": "dpo", "tune": RATES, "strength": {"beta": [0.5, 0.05]}},
        {"name": "sft", "tune": RATES, "strength": {"budget": [{"tokens": 4000}, {"tokens": 8000}]}},
        {"name": "self_reminder"},
    ],
}


@pytest.fixture
def worlds(monkeypatch):
    """Every world is the shipped one: nothing is trained but the methods."""
    monkeypatch.setattr(
        build, "other_world", lambda seed, size, progress=None: (embedded.DEMO, embedded.folder(size))
    )


@pytest.fixture
def compared(worlds, tmp_path):
    spec = parse_comparison(SMALL)
    report, _ = run_comparison(spec, tmp_path)
    return spec, tmp_path, report


def test_a_comparison_is_run_resumed_extended_and_reported(compared):
    spec, out, report = compared
    assert report.made > 0 and not report.unfinished
    again, _ = run_comparison(spec, out)
    assert again.made == 0 and again.stored == report.made
    found = read_comparison_results(out, replicates=20)
    assert found.complete
    assert [row.title for row in found.rows] == [
        "dpo beta 0.5",
        "dpo beta 0.05",
        "sft tokens 4000",
        "sft tokens 8000",
        "self_reminder",
    ]
    assert found.rows[2].costs["tokens"] <= 4000 < found.rows[3].costs["tokens"] <= 8000
    tuned = read_record(out)
    assert {trial["parameters"]["learning_rate"] for trial in tuned["trials"]["dpo"]} == {3e-3, 1e-2}
    assert tuned["chosen"]["dpo"]["learning_rate"] in (3e-3, 1e-2)
    weak, strong = found.rows[:2]
    assert weak.arms == strong.arms == 2 and 0 < strong.costs["tokens"] <= 8000
    assert strong.costs["tokens"] == pytest.approx(weak.costs["tokens"], rel=0.1)
    gold = found.best_axis
    change = strong.changes[gold]
    assert change.seeds == 2 and change.low < change.value < change.high and not change.clear
    assert change.level == pytest.approx(found.untreated[gold] + change.value, abs=1e-9)
    more = parse_comparison({**SMALL, "methods": [{"name": "refusal_steering"}]})
    run_comparison(more, out)
    extended = read_comparison_results(out, replicates=20)
    assert {row.method for row in extended.rows} == {"dpo", "sft", "self_reminder", "refusal_steering"}
    text = comparison_markdown(extended)
    assert "no claim about methods" in text and "### Sensitivity to what was tuned" in text
    page = write_comparison(extended, out / "report.html").read_text()
    level = f"gold_reward: gold reward {100 * extended.untreated[gold]:.1f}"
    assert level in text and level in page
    assert (
        "refusal_steering" in page
        and "<svg" in page
        and "http://" not in page.replace("http://www.w3.org", "")
    )


def test_no_interval_of_a_change_leaves_what_can_be():
    assert possible((-0.95, -1.012, -0.888), (0.0, 1.0)) == (-0.95, -1.0, -0.888)
    assert possible((1.5, 0.5, 2.5), (0.0, float("inf"))) == (1.5, 0.5, 2.5)
    assert possible((0.3, None, None), (0.0, 1.0)) == (0.3, None, None)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_missing_verdict_is_counted_whatever_the_seeds(worlds, tmp_path, seeds):
    methods = [{"name": "self_reminder"}]
    run_comparison(parse_comparison({**SMALL, "seeds": seeds, "methods": methods}), tmp_path)
    whole = read_comparison_results(tmp_path, replicates=2)
    axis = whole.best_axis
    assert whole.rows[0].changes[axis].missing == 0
    study = read_results(tmp_path / "evaluation", replicates=2)
    arm = next(arm for arm in study.arms if arm.treatment == "self_reminder")
    cell = study.cell(arm.label, axis.measure)
    with closing(sqlite3.connect(tmp_path / "evaluation" / "store.sqlite")) as store, store:
        store.execute(
            'DELETE FROM verdicts WHERE "key" = (SELECT "key" FROM verdicts WHERE cell = ?)', [cell.key]
        )
    found = read_comparison_results(tmp_path, replicates=2).rows[0]
    arms = len([arm for arm in study.arms if arm.treatment == "self_reminder"])
    items = len(study.store.verdicts(cell.key)) + 1
    assert found.changes[axis].missing == pytest.approx(1 / (items * arms))


def test_other_terms_in_the_same_folder_are_refused(compared):
    _, out, _ = compared
    with pytest.raises(InputError, match="another labels"):
        run_comparison(parse_comparison({**SMALL, "labels": 13}), out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluation": [1]}, "both for development and for evaluation"),
        ({"methods": [{"name": "dpo", "tune": RATES}, {"name": "ipo"}]}, "unequal numbers of tuning trials"),
        ({"methods": [{"name": "dpo"}, {"name": "dpo"}]}, "two methods are called 'dpo'"),
        ({"compute": {"euros": 3}}, "not known"),
        ({"surplus": 1}, "surplus"),
        ({"methods": [{"name": "dpo", "strength": {"beta": [1.0], "learning_rate": [1.0]}}]}, "strength"),
    ],
)
def test_an_unfair_or_unknown_setting_is_one_sentence(change, message):
    with pytest.raises(InputError, match=message):
        parse_comparison({**SMALL, **change})


def test_a_file_names_its_budgets(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps({**SMALL, "budgets": {"mini": {"seeds": [0], "only": ["self_reminder"]}}}))
    assert read_comparison(file).seeds == (0, 1)
    mini = read_comparison(file, "mini")
    assert mini.seeds == (0,) and [m.title for m in mini.methods] == ["self_reminder"]
    with pytest.raises(InputError, match="mini"):
        read_comparison(file, "minu")
    with pytest.raises(InputError, match="self_reminder"):
        read_comparison(file).only(["self_remindr"])


def test_the_best_trial_is_chosen_and_the_first_of_equals():
    spec, method = parse_comparison(SMALL), MethodSpec(name="dpo", tune=RATES)
    low, high = (
        Trial(parameters={"learning_rate": rate}, score=score) for rate, score in ((1, 0.5), (2, 0.5))
    )
    assert chosen(spec, method, {"dpo": [low, high]}) == {"learning_rate": 1}
    none = Trial(parameters={"learning_rate": 3}, score=None)
    assert chosen(spec, method, {"dpo": [none, high]}) == {"learning_rate": 2}
    with pytest.raises(InputError, match="no trial of dpo"):
        chosen(spec, method, {"dpo": [none]})


FORGET = {
    "measure": "canary_exposure",
    "metric": "exposure",
    "keep": {"measure": "arc", "metric": "accuracy", "loss": 0.1},
}


def test_a_trial_that_costs_too_much_is_not_chosen():
    spec = parse_comparison(SMALL)
    method = MethodSpec.model_validate({"name": "npo", "tune": RATES, "select": FORGET})

    def picked(*costs: float | None) -> object:
        trials = [
            Trial(parameters={"learning_rate": n}, score=float(n), cost=cost) for n, cost in enumerate(costs)
        ]
        return chosen(spec, method, {"npo": trials})["learning_rate"]

    assert picked(0.0, 0.1, 0.11) == 1  # the best score within the allowed loss
    assert picked(-0.2, 0.3, 0.11) == 0
    assert picked(0.5, 0.2, 0.3) == 1  # all cost too much: the cheapest
    assert picked(0.05, None, 0.3) == 0  # nothing is known of its cost
    with pytest.raises(InputError, match="no trial of npo"):
        picked(None, None)


def test_a_method_is_tuned_by_what_it_is_made_for(worlds, tmp_path):
    rates = {"learning_rate": [3e-4, 3e-3]}
    methods = [
        {"name": "npo", "tune": rates, "select": FORGET},
        {"name": "dpo", "tune": rates, "strength": {"beta": [0.1]}},
    ]
    spec = parse_comparison({**SMALL, "seeds": [0], "measures": ["gold_reward"], "methods": methods})
    _, trials = run_comparison(spec, tmp_path)
    assert all(
        trial.score < 0 and trial.cost is not None for trial in trials["npo"]
    )  # less exposure is better
    assert all(trial.score > 0 and trial.cost is None for trial in trials["dpo"])
    found = read_comparison_results(tmp_path, replicates=2)
    assert {axis.measure for axis in found.axes} == {"gold_reward"}  # what tuning reads is not judged by
    text = comparison_markdown(found)
    assert "canary_exposure: exposure, accuracy within 0.1" in text


def test_a_method_is_not_tuned_by_the_trials_of_the_same_treatment_with_a_setting_more(worlds, tmp_path):
    plain = {"name": "dpo", "tune": RATES, "strength": {"beta": [0.05]}}
    other = {**plain, "label": "dpo_decayed", "weight_decay": 0.9, "schedule": "constant"}
    run_comparison(parse_comparison({**SMALL, "methods": [plain]}), tmp_path)
    alone = read_record(tmp_path)["trials"]["dpo"]
    run_comparison(parse_comparison({**SMALL, "methods": [other]}), tmp_path)
    both = read_record(tmp_path)["trials"]
    assert both["dpo"] == alone and len(alone) == 2
    assert [trial["score"] for trial in both["dpo_decayed"]] != [trial["score"] for trial in alone]


def test_a_criterion_under_an_attack_needs_the_attack():
    select = {"measure": "advbench", "metric": "harmful_compliance", "attack": "prefill"}
    methods = [{"name": "dpo", "tune": RATES, "select": select}]
    with pytest.raises(InputError, match="under the attack 'prefill'"):
        parse_comparison({**SMALL, "methods": methods})
    parse_comparison({**SMALL, "methods": methods, "attacks": ["prefill"]})


def test_a_method_is_read_between_its_strengths_and_never_beyond(compared):
    _, out, _ = compared
    found = read_comparison_results(out, replicates=2)
    rows, axis = [row for row in found.rows if row.method == "dpo"], found.best_axis
    places = dict(zip((row.title for row in rows), (1.0, 3.0)))
    first, second = (row.changes[axis].level for row in rows)
    middle = at_equal(rows, axis, lambda row: places[row.title], 2.0)
    assert middle == pytest.approx(np.mean([first, second]))
    assert at_equal(rows, axis, lambda row: places[row.title], 3.5) is None


def test_a_damaged_record_is_one_sentence(tmp_path):
    (tmp_path / running.RECORD).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_record(tmp_path)
