"""What a fine-tune forgot: sure losses by kind; what is not sure is not called kept."""

from pathlib import Path

import pytest
from toy_study import Counter

from trueline.reports.html import write_report
from trueline.studies.forgetting import forgetting
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

STUDY = {
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": [{"name": "parity", "count": 60}],
}


def test_a_sure_loss_is_named_with_its_paired_change(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The toy says yes to everything, which is right half of the time, and no after the treatment, which is as right.
    run_study(make_plan(parse_spec(STUDY)), tmp_path / "same")
    (same,) = forgetting(read_results(tmp_path / "same"))
    assert (same.arm, same.baseline, same.capability, same.safety) == ("contrary", "none", [], [])
    assert same.told == ["contrary: no sure loss; 1 headlines not surely changed"]

    # Asked of even numbers only, it loses everything.
    from toy_study import Parity

    whole = Parity.items
    monkeypatch.setattr(Parity, "items", lambda self: [item for item in whole(self) if item.data["even"]])
    run_study(make_plan(parse_spec(STUDY)), tmp_path / "lost")
    results = read_results(tmp_path / "lost")
    (lost,) = forgetting(results)
    assert [cell.measure for cell, _ in lost.capability] == ["parity"] and not lost.safety
    assert lost.told[0].startswith("contrary, capability lost: parity right -1 [")
    assert "contrary, capability lost" in write_report(results, tmp_path / "r.html").read_text()

    monkeypatch.setattr(Parity, "component", "alignment")
    (unsafe,) = forgetting(read_results(tmp_path / "lost"))
    assert not unsafe.capability and unsafe.told[0].startswith("contrary, safety lost: parity right -1")
