"""Labels of a study's own answers, end to end on the testbed, where the truth is known.

A judge that misses half of the harm and cries wolf now and then; a sheet filled in by the world's exact judge;
the corrected rate and change must hold the truth, which the judge alone misses.
"""

import asyncio
import csv
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from trueline import catalog
from trueline.cli.label import ask
from trueline.core.measure import Metric
from trueline.core.messages import Completion, chat
from trueline.core.protocols import Judgement
from trueline.core.statistics import estimate
from trueline.core.verdicts import Item, Verdict
from trueline.judges.card import JudgeCard
from trueline.judges.rates import SourceRates
from trueline.studies.correcting import JudgeRecord, correct_level
from trueline.studies.labels import choose_metric, draw, given_labels, sheet
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec
from trueline.studies.store import Store
from trueline.testbed import embedded
from trueline.testbed.judges import ExactHarm

from .running import done, refused

N = 60
HARM = "harmful_compliance"
STUDY = {
    "targets": ["testbed"],
    "treatments": ["none", "self_reminder"],
    "measures": [{"name": "advbench", "max_tokens": 24, "harm": {"judge": "noisy"}}],
    "limit": 96,
}


class Noisy:
    """Misses about half of what is harmful and flags about a tenth of the rest, by a digest of the request."""

    name = "noisy"

    def __init__(self) -> None:
        self.exact_judge = ExactHarm(embedded.world())

    def fingerprint(self) -> str:
        return "noisy"

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        truth = (await self.exact_judge.judge(item, completion)).value
        draw = sha256(item.id.encode()).digest()[0] / 256
        return Judgement(value=float(draw < 0.5 if truth else draw < 0.1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run once with the noisy judge."""
    folder = tmp_path_factory.mktemp("labelled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.JUDGES, "noisy", f"{Noisy.__module__}:Noisy")
        catalog.names.cache_clear()
        run_study(make_plan(parse_spec(STUDY)), folder)
    catalog.names.cache_clear()
    return folder


def truths(folder: Path) -> dict[str, float]:
    """The exact rate of each arm, from the stored answers of all items."""
    results = read_results(folder, replicates=100)
    exact = ExactHarm(embedded.world())
    rates = {}
    for cell in results.cells:
        values = []
        for row in results.store.verdicts(cell.key).values():
            if row.verdict.group == "control" or row.verdict.reason:
                continue
            request, result = results.store.response(row.responses[0])
            item = Item(id="x", prompt=chat(request["generate"][-1]["content"]))
            values.append(asyncio.run(exact.judge(item, Completion(text=result[0]["text"]))).value)
        rates[cell.arm] = sum(values) / len(values)
    return rates


def fill(path: Path) -> None:
    """What a careful person would do with the sheet; the one here knows the world."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    exact = ExactHarm(embedded.world())
    for row in rows:
        item = Item(id="x", prompt=chat(row["request"]))
        value = asyncio.run(exact.judge(item, Completion(text=row["answer"]))).value
        row["label"] = f"{value:g}"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_labels_through_a_sheet_correct_a_biased_judge(finished: Path, tmp_path: Path) -> None:
    truth = truths(finished)
    before = read_results(finished, replicates=100).cell("none", "advbench").metrics[HARM]
    assert before.correction.startswith("uncorrected for the errors of noisy")
    assert not before.estimate.low <= truth["none"] <= before.estimate.high  # the judge alone misses it

    path = tmp_path / "sheet.csv"
    done("label", finished, "--n", N, "--csv", path)
    text = path.read_text(encoding="utf-8")
    assert "self_reminder" not in text and "none" not in text  # blinded
    fill(path)
    out = done("label", finished, "--n", N, "--import", path, "--labeller", "world").out
    assert f"to {N} items of 96" in out

    results = read_results(finished, replicates=100)
    for arm, rate in truth.items():
        found = results.cell(arm, "advbench").metrics[HARM]
        assert found.estimate.interval == f"prediction-powered, {N} labels"
        assert found.correction.startswith(f"prediction-powered with {N} labels of 96 (PPI++, λ = ")
        assert found.estimate.low <= rate <= found.estimate.high
    assert results.cell("none", "advbench").metrics[HARM].judged == before.estimate
    change = results.cell("self_reminder", "advbench").metrics[HARM]
    assert change.change_correction.startswith(f"prediction-powered with {N} labels")
    assert change.change.low <= truth["self_reminder"] - truth["none"] <= change.change.high
    assert f"prediction-powered with {N} labels" in done("compare", finished, "none", "self_reminder").out
    page = tmp_path / "report.html"
    done("report", finished, "--out", page)
    assert "the judge alone says" in page.read_text(encoding="utf-8")
    assert Store(finished, read_only=True).verify().whole


def test_a_wrong_sheet_stores_nothing(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    metric = ("--metric", "non_refusal")
    done("label", finished, "--n", 5, *metric, "--csv", path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1] + "1", lines[2] + "2"]) + "\n", encoding="utf-8")
    said = refused("label", finished, "--n", 5, *metric, "--import", path)
    assert "line 3: the label '2' is not allowed; write 1, 0, skip" in said
    assert "0 of" in done("label", finished, "--n", 5, *metric, "--csv", path).out
    path.write_text("row,label\nnothere,1\n", encoding="utf-8")
    assert "is not of this sample" in refused("label", finished, "--n", 5, *metric, "--import", path)
    assert "drawn with --seed 0" in refused("label", finished, "--n", 5, *metric, "--seed", 1, "--csv", path)
    assert "did you mean non_refusal" in refused(
        "label", finished, "--metric", "nonrefusal", "--measure", "advbench"
    )


def test_single_keys_resume_and_undo(finished: Path) -> None:
    store = Store(finished)
    plan = store.meta("plan")[""]
    sample = draw(store, plan, *choose_metric(plan, "advbench", "non_refusal_at_k"), "direct", 3, 0)
    rows = sheet(store, plan, sample)
    said: list[str] = []

    def press(keys: str) -> dict[str, float | str]:
        pressed = iter(keys)
        ask(store, sample, rows, "me", lambda: next(pressed), said.append)
        return given_labels(store, sample)

    assert press("y?nq") == {rows[0].id: 1.0, rows[1].id: 0.0}  # ? is no key
    assert press("yuq") == {rows[0].id: 1.0, rows[1].id: 0.0}  # taken back
    assert press("sq")[rows[2].id] == "skipped"
    assert any(text.count("── 3 of") for text in said)
    store.close()


def test_an_older_store_is_migrated(finished: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    Store(old).close()
    with sqlite3.connect(old / "store.sqlite") as database:
        database.execute("DROP TABLE labels")
        database.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
    assert Store(old, read_only=True).labels("c") == []
    store = Store(old)
    store.add_labels([("c", "i", {"metric": "m", "value": 1.0})])
    assert store.labels("c") == [("i", {"metric": "m", "value": 1.0})]
    assert store.meta("schema")[""] == 2 and store.verify().whole


METRIC = Metric(name="refused", definition="d", judged_by="refusal", judged_as="positive")


def verdicts(ones: int, n: int) -> list[Verdict]:
    return [Verdict.of(Item(id=str(i), prompt=""), refused=float(i < ones)) for i in range(n)]


def record(*sources: tuple[int, int], positive: str = "refusal", exact: bool = False) -> JudgeRecord:
    made = tuple(
        SourceRates(source=str(i), positives=100, true_positives=hit, negatives=100, true_negatives=right)
        for i, (hit, right) in enumerate(sources)
    )
    card = JudgeCard(judge="j", fingerprint="f", positive=positive, data="d", note="", sources=made)
    return JudgeRecord(name="j", fingerprint="f", exact=exact, card=card if sources else None)


@pytest.mark.parametrize(
    ("judge", "words", "value"),
    [
        (record((80, 95), (80, 95), (80, 95)), "corrected by a card of 3", (0.29 + 0.95 - 1) / 0.75),
        (record((80, 95)), "uncorrected: the card has one source", 0.29),
        (record((50, 70), (50, 70)), "uncorrected: sensitivity + specificity", 0.29),
        (record((95, 60), (95, 60)), "uncorrected: the corrected rate -0.200 leaves", 0.29),
        (record((80, 95), (80, 95), positive="hateful"), "uncorrected: the card of j is about", 0.29),
        (record(), "uncorrected for the errors of j", 0.29),
        (record(exact=True), "", 0.29),
        (None, "", 0.29),
    ],
)
def test_a_card_is_transported_or_the_rate_says_uncorrected(
    judge: JudgeRecord | None, words: str, value: float
) -> None:
    given = verdicts(29, 100)
    raw = estimate(METRIC, given)
    found = correct_level(METRIC, raw, given, {}, judge)
    assert found.words.startswith(words) and bool(found.words) == bool(words)
    assert found.estimate.value == pytest.approx(value)
    if words.startswith("corrected"):
        assert found.judged == raw
        assert found.estimate.high - found.estimate.low > raw.high - raw.low  # a card never makes surer


def test_a_missing_verdict_stays_missing_beside_labels() -> None:
    given = [
        *verdicts(40, 100),
        *(Verdict.missing(Item(id=f"m{i}", prompt=""), "judge failed") for i in range(25)),
    ]
    labels = {str(i): float(i < 50) for i in range(0, 100, 2)}
    found = correct_level(METRIC, estimate(METRIC, given), given, labels, None).estimate
    assert (found.n, found.missing) == (100, 25)
    assert found.bound_low == pytest.approx(100 * found.value / 125)
    assert found.bound_high == pytest.approx((100 * found.value + 25) / 125)


def test_few_labels_correct_nothing() -> None:
    given = verdicts(40, 100)
    found = correct_level(METRIC, estimate(METRIC, given), given, {"1": 1.0, "2": 0.0}, None)
    assert found.words == "uncorrected: 2 labelled items are too few (30 are needed)"
