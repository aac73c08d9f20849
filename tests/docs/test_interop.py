"""docs/interop.md is followed literally: its files are written and its commands run."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trueline.cli.main import app
from trueline.studies.results import read_results

PAGE = (Path(__file__).parents[2] / "docs" / "interop.md").read_text(encoding="utf-8")
FILES = re.compile(r"```\w+ file=(\S+)\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh run\n(.*?)```", re.DOTALL)


def test_the_page_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.findall(PAGE):
        Path(name).write_text(text, encoding="utf-8")
    for block in COMMANDS.findall(PAGE):
        for line in block.strip().splitlines():
            ended = CliRunner().invoke(app, shlex.split(line)[1:])
            assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception!r}"
    assert len(list(Path("runs/capitals/inspect").glob("*.eval"))) == 1
    assert "model-index:" in Path("runs/card/README.md").read_text(encoding="utf-8")
    for name, _ in FILES.findall(PAGE):
        Path(name).unlink()
    results = read_results(Path("runs/capitals"))  # needs none of the files
    (cell,) = results.cells
    assert (cell.measure, cell.title, cell.done) == ("capitals", "Capitals of four countries", 4)
    assert cell.uninformative and cell.headline.metric.floor == 1 / 3
    assert cell.headline.estimate.n == 4 and cell.headline.estimate.low is not None
    report = Path("runs/capitals/report.html").read_text(encoding="utf-8")
    assert "capitals.csv" in report and results.plan["own_measures"]["capitals"]["data_sha256"] in report
