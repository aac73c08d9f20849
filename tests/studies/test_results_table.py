"""What the terminal says of a study: every number with its interval, n and missing verdicts, and why they miss."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from toy_study import Counter

from trueline.cli.results_table import results_table
from trueline.cli.tables import new_table
from trueline.reports.words import reasons
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec


def told(folder: Path, **spec: Any) -> list[str]:
    run_study(
        make_plan(parse_spec({"name": "toy", "targets": ["toy"], "measures": ["parity", "liking"], **spec})),
        folder,
    )
    stream = io.StringIO()
    results_table(read_results(folder), Console(file=stream, width=100))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_one_arm_shows_interval_n_and_missing(counter: Counter, tmp_path: Path) -> None:
    """Always yes: 10 of the 19 answered are even (13 has no verdict). Wilson with z = 1.96: [.317, .727]."""
    lines = told(tmp_path)
    assert "measure value [95 %] n missing" in lines
    assert "parity: right 52.6 [31.7, 72.7] 19 1" in lines
    assert "liking: n/m" in lines
    assert "parity: no verdict on 1 of 20: 1 × neither yes nor no" in lines
    assert any(line.startswith("liking: not measurable: ") for line in lines)


def test_two_arms_show_the_paired_change(counter: Counter, tmp_path: Path) -> None:
    """Always no: 10 of 20 are odd. Of the 19 pairs 9 rise and 10 fall: −1/19, so −5.3 points, surely nothing."""
    lines = told(tmp_path, treatments=["none", "contrary"])
    assert "measure none contrary change [95 %] p adj." in lines
    (row,) = (line for line in lines if line.startswith("parity: right"))
    assert row.startswith("parity: right 52.6 50.0 -5.3 [") and row.endswith("] 1")
    assert "parity: no verdict on 1 of 20: 1 × neither yes nor no (none)" in lines


def test_three_arms_show_values(counter: Counter, tmp_path: Path) -> None:
    lines = told(tmp_path, treatments=["none", "contrary", {"name": "contrary", "label": "again"}])
    assert "parity: right 52.6 50.0 50.0" in lines


@pytest.mark.parametrize("width", [80, 90, 100, 120])
def test_no_column_is_cropped_however_long_names_and_numbers_are(width: int) -> None:
    stream = io.StringIO()
    table = new_table("measure.metric (attack)", "A", "B", "change B − A", "p adj.")
    table.add_row(
        "advbench.non_refusal (direct) %",
        "95.0 [75.1, 99.9]",
        "9.7 [2.6, 10.0]",
        "-5.0 [-26.6, +16.1]",
        "1e-06",
    )
    Console(file=stream, width=width).print(table)
    lines = stream.getvalue().splitlines()
    assert lines[0].split()[-2:] == ["p", "adj."] and max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"99.9]", "10.0]", "+16.1]", "1e-06", "%"} <= set(words)


def test_reasons_that_differ_in_numbers_only_are_one() -> None:
    found = {"the prompt takes 1649 tokens.": 1, "the prompt takes 1480 tokens.": 2, "empty": 1}
    assert reasons(found) == "3 × the prompt takes 1649 tokens (for example); 1 × empty"
