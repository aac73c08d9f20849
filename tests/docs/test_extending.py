"""docs/extending.md is followed literally: its files are written, made findable, and its study is run."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from trueline import catalog
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import read_spec

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FENCE = re.compile(r"```\w+ file=(\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files, with the metadata that an installer writes for them."""
    for name, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    info = tmp_path / "trueline_example-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    text = "".join(f"[{g}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for g, points in groups)
    (info / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog.names.cache_clear()
    yield tmp_path
    catalog.names.cache_clear()
    for name in [m for m in sys.modules if m.startswith("trueline_example")]:
        del sys.modules[name]


def test_the_page_works_as_written(package: Path) -> None:
    report = run_study(make_plan(read_spec(package / "study.yaml")), package / "out")
    assert (report.made, report.unfinished) == (30, ())
    results = read_results(package / "out")
    assert [arm.label for arm in results.arms] == ["none", "terse words=5", "terse words=20"]
    assert all(cell.state == "done" for cell in results.cells)
    assert {cell.attack for cell in results.cells} == {"direct", "urgency"}
    assert catalog.find("measure", "politeness").title == "Politeness"
