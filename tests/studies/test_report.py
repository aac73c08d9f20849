from dataclasses import replace
from pathlib import Path

import pytest
from toy_study import Counter, Parity

from trueline.core.statistics.calibration_error import ReliabilityBin
from trueline.core.verdicts import Verdict
from trueline.reports.html import paper_link, render, write_report
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

STUDY = {
    "name": "toy <study>",
    "targets": ["toy"],
    "treatments": ["none", "contrary"],
    "measures": ["parity", "liking"],
    "sizes": [{"model": "toy", "label": "one"}],
    "primary": [{"measure": "parity", "metric": "right"}],
}


@pytest.fixture
def page(counter: Counter, tmp_path: Path) -> str:
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    return write_report(read_results(tmp_path), tmp_path / "report.html").read_text(encoding="utf-8")


def test_names_are_escaped(page: str) -> None:
    assert "toy &lt;study&gt;" in page and "toy <study>" not in page


def test_says_what_says_nothing(page: str) -> None:
    assert "the target gives no score" in page
    assert "1 × neither yes nor no" in page


def test_says_which_published_risks_are_touched(page: str) -> None:
    assert "OWASP LLM Top 10 (2025): 0 of 10 touched" in page  # the toy measures are about no listed risk
    assert "LLM01 Prompt Injection" in page and "not asked; advbench, harmbench" in page


def test_shows_bounds_of_missing_verdicts(page: str) -> None:
    assert "50.0 to 55.0" in page


def test_stands_alone(page: str) -> None:
    assert '<link rel="stylesheet"' not in page and 'src="http' not in page
    assert page.count("<h1>") == 1 and 'lang="en"' in page


def test_half_finished_study_says_so(counter: Counter, tmp_path: Path) -> None:
    counter.fail_after = 3
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    page = write_report(read_results(tmp_path), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "This study is unfinished" in page and "3 of 20 items" in page


def test_arms_that_learnt_from_own_answers_are_drawn_against_divergence(
    counter: Counter, tmp_path: Path
) -> None:
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    results = read_results(tmp_path)
    assert 'id="training"' not in render(results)
    curve = [{"step": float(n), "reward": n / 10, "kl": n / 5, "length": 9.0} for n in range(10)]
    arms = [replace(arm, provenance={**arm.provenance, "curve": curve}) for arm in results.arms]
    page = render(replace(results, arms=arms))
    assert page.count('id="training"') == 1 and "Reward it learns from" in page
    # √(9 / 5) = 1.34; the points stand in the chart and not among the settings
    assert "contrary: 1.34, 0.9" in page and "KL to the untreated model" in page
    assert "&#39;kl&#39;" not in page


def test_a_measure_with_a_diagram_has_it_drawn_with_its_bins(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parity tells no confidence, so one is made up here: .9 for all, of which 10 of the 19 answered are right."""
    run_study(make_plan(parse_spec(STUDY)), tmp_path)
    results = read_results(tmp_path)
    assert "Reliability" not in render(results)

    def diagram(verdicts: list[Verdict]) -> tuple[ReliabilityBin, ...]:
        right = [v.values["right"] for v in verdicts if v.values]
        return (ReliabilityBin(index=13, n=len(right), confidence=0.9, accuracy=sum(right) / len(right)),)

    monkeypatch.setattr(Parity, "diagram", staticmethod(diagram), raising=False)
    page = render(results)
    assert page.count("Reliability: bins of equal width") == 1
    assert "none: 0.9, 0.526" in page and "52.6 [31.7, 72.7]" in page
    assert "contrary: 0.9, 0.5" in page and "calibrated" in page


def test_paper_link() -> None:
    assert 'href="https://arxiv.org/abs/2009.11462"' in paper_link("Gehman et al. 2020, arXiv 2009.11462")
    assert paper_link("none & such") == "none &amp; such"


def test_a_users_own_measure_touches_what_its_file_says(counter: Counter, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("q,answer\nIs 2 even?,yes\nIs 3 even?,no\n", encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(
        "{name: own, data: own.csv, kind: exact_answer, caution: Two questions., risks: {owasp: [LLM09]}, "
        "columns: {prompt: q, answer: answer}}",
        encoding="utf-8",
    )
    run_study(make_plan(parse_spec({**STUDY, "measures": ["parity", str(own)]})), tmp_path / "out")
    own.unlink()
    shown = render(read_results(tmp_path / "out"))
    assert "Touches: OWASP LLM Top 10 LLM09 Misinformation." in shown
    assert "OWASP LLM Top 10 (2025): 1 of 10 touched" in shown
