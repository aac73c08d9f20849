"""Evaluating a judge against labels: figures by hand, the public sets, a user's file, and leaving models out."""

import asyncio
import json
from pathlib import Path

import pytest
from test_card import Table

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.card import JudgeCard, Labelled
from trueline.judges.card_folder import card_of, store_card
from trueline.judges.card_tables import card_text
from trueline.judges.evaluation import evaluate
from trueline.judges.label_sets import LABEL_SETS, label_set, read_label_file
from trueline.judges.refusal_keywords import RefusalKeywords


def _row(text: str, label: bool, source: str = "s", cluster: str = "", category: str = "") -> Labelled:
    return Labelled(
        item=Item(id=f"{source}/{text}", prompt=chat("q")),
        completion=Completion(text=text),
        label=label,
        source=source,
        cluster=cluster,
        category=category,
    )


def _card(*rows: Labelled, **values: float | None) -> JudgeCard:
    return asyncio.run(evaluate(Table(values), rows, positive="x", data="y"))


def test_calibration_and_agreement_by_hand() -> None:
    rows = [_row("a", True), _row("b", True), _row("c", False), _row("d", False), _row("e", True)]
    card = _card(*rows, a=0.9, b=0.4, c=0.2, d=0.1, e=None)
    assert card.pooled.missing == 1  # no verdict: in no rate and in no figure
    # (0.1² + 0.6² + 0.2² + 0.1²)/4; each alone in its bin: (0.1 + 0.6 + 0.2 + 0.1)/4
    assert card.overall["brier"].value == pytest.approx(0.42 / 4)
    assert card.overall["ece_width"].value == card.overall["ece_mass"].value == pytest.approx(0.25)
    # yes = 1, 0, 0, 0 against 1, 1, 0, 0: κ = (3/4 − 1/2)/(1/2); α = 1 − (2/8)/(2·3·5/56)
    assert card.overall["kappa"].value == pytest.approx(0.5)
    assert card.overall["alpha"].value == pytest.approx(1 - 0.25 * 56 / 30)


def test_a_yes_or_no_judge_has_no_calibration() -> None:
    card = _card(_row("a", True), _row("b", False), _row("c", True), a=1.0, b=0.0, c=0.0)
    assert set(card.overall) == {"alpha", "kappa"}


def test_why_verdicts_are_missing_and_that_none_came_is_said() -> None:
    card = _card(_row("a", True), _row("b", False), _row("c", True), a=1.0, b=0.0, c=None)
    assert card.reasons == {"unknown": 1}
    assert "1 without a verdict (1 × unknown), which count in no rate" in card_text(card)
    with pytest.raises(InputError, match=r"no verdict on any of the 1 answers \(unknown\)"):
        _card(_row("a", True), a=None)


def test_a_judge_of_another_thing_is_told_so() -> None:
    rows = [_row(f"t{n}", n % 2 == 0) for n in range(20)]
    turned = _card(*rows, **{row.completion.text: float(not row.label) for row in rows})
    assert turned.overall["kappa"].value == -1 and "Agreement beyond chance is not shown" in card_text(turned)
    right = _card(*rows, **{row.completion.text: float(row.label) for row in rows})
    assert "beyond chance" not in card_text(right)


def test_clusters_widen_and_categories_are_apart() -> None:
    values = {f"t{i}": float(i % 4 > 0) for i in range(40)}
    alone = _card(*(_row(t, True) for t in values), **values)
    grouped = [_row(t, True, cluster=str(values[t]) + t[-1], category="a" if i < 10 else "b")
               for i, t in enumerate(values)]  # fmt: skip
    together = _card(*grouped, **values)
    (one,), (other,) = alone.sources, together.sources
    assert one.sensitivity == other.sensitivity == 0.75 and one.effective_positives is None
    assert other.effective_positives is not None and other.effective_positives < 40
    assert other.sensitivity_interval[0] < one.sensitivity_interval[0]
    assert [(c.source, c.positives) for c in together.categories] == [("a", 10), ("b", 30)]


def test_a_card_comes_back_whole_and_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path))
    judge = RefusalKeywords()
    rows = [_row("sorry", True, category="c"), _row("fine", False, "t"), _row("sure", True, "t")]
    card = asyncio.run(evaluate(judge, rows, positive="refusal", data="d", provenance={"data": "abc"}))
    assert JudgeCard.from_json(json.loads(json.dumps(card.as_json()))) == card
    assert card_of(judge) is None
    store_card(card, "d", tmp_path / "cards")
    assert card_of(judge) == card
    assert card_of(RefusalKeywords(phrases=["no"])) is None  # another list is another judge


def test_labels_by_a_model_correct_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path))
    judge = RefusalKeywords()
    card = asyncio.run(evaluate(judge, [_row("a", True)], positive="x", data="y", labelled_by="a model"))
    store_card(card, "d", tmp_path / "cards")
    assert card_of(judge) is None and "labelled by a model" in card_text(card)


def test_one_model_left_out_of_xstest(public_data: Path) -> None:
    """The golden test: pooling turns Mistral's 16.9 % refusals into less than none; the card says uncorrected."""
    labels = label_set("data:xstest")
    card = asyncio.run(evaluate(RefusalKeywords(), labels.rows, positive=labels.positive, data=labels.data))
    sensitivity = {s.source: round(s.sensitivity or 0, 2) for s in card.sources}
    assert sensitivity["gpt-4"] == 0.99 and sensitivity["mistral"] == 0.17
    left_out = {row.source: row for row in card.left_out()}
    mistral = left_out["mistral"]
    assert mistral.true_rate == pytest.approx(0.169, abs=5e-4) and mistral.pooled < -0.03
    assert not mistral.corrected.corrected and mistral.corrected.value == mistral.judged_rate
    assert all(
        r.corrected.low <= r.true_rate <= r.corrected.high for r in left_out.values() if r.corrected.corrected
    )
    line = next(line for line in card_text(card).splitlines() if line.startswith("| mistral | 16.9%"))
    assert "| -3.3% |" in line and "uncorrected: the corrected rate" in line
    # The same request put to five models is one cluster, so a category is worth fewer answers than it holds.
    assert all(
        c.effective_positives is not None and c.effective_positives <= c.positives for c in card.categories
    )


@pytest.mark.parametrize(
    ("name", "n", "positives", "sources"),
    [("xstest", 2250, 1159, 5), ("hatecheck", 3728, 2563, 8), ("jailbreakbench", 1637, 937, 4)],
)
def test_public_label_sets(public_data: Path, name: str, n: int, positives: int, sources: int) -> None:
    found = LABEL_SETS[name]()
    assert (len(found.rows), sum(r.label for r in found.rows)) == (n, positives)
    assert len({r.source for r in found.rows}) == sources
    assert (found.labelled_by == "a model") == (name == "jailbreakbench")


def test_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("prompt,completion,label,source\nhi,sorry,yes,m\nhi,sure,0,m\n", encoding="utf-8")
    first, second = read_label_file(path).rows
    assert (first.label, second.label, first.source) == (True, False, "m")
    assert first.cluster == second.cluster == "hi"
    path.write_text("completion,label\nsorry,perhaps\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2: the label is 'perhaps'; write 1 or 0"):
        read_label_file(path)
    path.write_text("prompt,answer,label\nhi,sorry,1\n", encoding="utf-8")
    assert read_label_file(path).rows[0].completion.text == "sorry"
    path.write_text("reply,label\nsorry,1\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"line 2: a labelled answer needs prompt, .*this row has reply, label"
    ):
        read_label_file(path)
    with pytest.raises(InputError, match="unknown label set 'xstst'"):
        label_set("data:xstst")
