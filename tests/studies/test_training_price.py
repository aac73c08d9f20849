"""What training may take, by hand: words × 1.5 tokens, 6 FLOPs a parameter and token."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from trueline.catalog import make
from trueline.cli.tables import plan_table
from trueline.core.messages import chat
from trueline.data.labelled import LabelledText
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.data.rankings import RankedAnswers
from trueline.studies.comparison.spec import parse_comparison
from trueline.studies.plan import make_plan
from trueline.studies.spec import parse_spec
from trueline.studies.training_price import TrainingPrice, budget_words, tokens_of, training_price

MODEL = {"parameters": 1000, "device": "cpu"}
PAIRS = [PreferencePair(prompt=chat("one two"), chosen="a b", rejected="c d")] * 10  # 9 tokens each


def price(name: str, rows: list[Any] = PAIRS, **dials: Any) -> TrainingPrice:
    """The price of a treatment on a model of a thousand parameters."""
    return training_price("arm", make("treatment", name, dials), rows, MODEL)


def test_the_example_of_the_module() -> None:
    rows = [PreferencePair(prompt=chat("w " * 30), chosen="w " * 20, rejected="w " * 20)] * 400
    found = training_price("arm", make("treatment", "dpo", {}), rows, {"parameters": 1.05e6})
    assert found.tokens == 42_000 and found.seconds is not None
    assert found.flops == pytest.approx(264.6e9 + 88.2e9) and found.seconds == pytest.approx(17.64)


def test_tokens_of_every_kind_of_row() -> None:
    rows = [
        Demonstration(prompt=chat("one two"), answer="three four"),
        LabelledText(prompt="", answer="one two", wanted=False),
        RankedAnswers(prompt=chat("one"), answers=("two", "three four"), ranks=(1, 2)),
    ]
    assert [tokens_of(row) for row in rows] == [6.0, 3.0, 6.0]


def test_epochs_steps_lengths_and_adapters() -> None:
    assert price("dpo").flops == 90 * (6 + 2) * 1000
    assert price("simpo", epochs=3).flops == 3 * 90 * 6 * 1000
    assert price("simpo", steps=5, batch_size=4, epochs=1).tokens == 2 * 90
    assert price("simpo", max_length=4, epochs=1).tokens == 40
    assert price("simpo", lora=True, epochs=1).flops == 90 * 4 * 1000


def test_an_on_policy_method_draws_its_answers() -> None:
    tokens = 10 * (3 + 4 * 8)
    given = price("grpo", samples=4, max_tokens=8, reward="given", epochs=1)
    assert (given.tokens, given.flops) == (tokens, tokens * (6 + 2 * 2) * 1000)
    learnt = price("grpo", samples=4, max_tokens=8, epochs=1, reward_epochs=2)
    assert learnt.flops == (given.flops or 0) + 2 * 90 * 6 * 1000


def test_a_budget_is_taken_as_spent() -> None:
    assert price("dpo", budget={"flops": 4e10}).seconds == 2.0
    assert price("dpo", budget={"seconds": 30}).seconds == 30
    assert price("dpo", budget={"tokens": 900}).flops == 900 * (6 + 2) * 1000


def test_what_cannot_be_priced_says_so() -> None:
    assert training_price("arm", make("treatment", "dpo", {}), PAIRS, {"kind": "endpoint"}).seconds is None


def test_the_plan_of_a_study_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "one two", "chosen": "a b", "rejected": "c d"}\n' * 10, encoding="utf-8")
    spec = parse_spec(
        {
            "targets": ["testbed:tiny"],
            "treatments": ["none", "self_reminder", "dpo"],
            "measures": ["arc"],
            "preferences": str(file),
            "limit": 3,
        }
    )
    console = Console(width=200, record=True)
    plan_table(make_plan(spec), console)
    text = console.export_text()
    assert "training (estimate)" in text and "Training takes roughly" in text
    (line,) = [
        line
        for line in text.splitlines()
        if line.strip().startswith("dpo") and "GF" not in line and "·" not in line
    ]
    assert line.split()[1:3] == ["10", "90"]


def test_a_comparison_counts_its_trained_runs() -> None:
    methods = yaml.safe_load(
        "[{name: dpo, tune: {learning_rate: [1, 2]}, strength: {beta: [1, 2]}}, {name: self_reminder}]"
    )
    spec = parse_comparison(
        {"development": [1], "evaluation": [2, 3], "seeds": [0], "measures": ["arc"], "methods": methods}
    )
    assert "6 runs without a compute budget" in budget_words(spec)
    priced = spec.model_copy(update={"compute": {"flops": 2e11}})
    assert "6 runs of up to 2e+11 flops, 1.2e+12 in all: roughly 1 min" in budget_words(priced)
    assert "in all; measuring" in budget_words(spec.model_copy(update={"compute": {"tokens": 10}}))
