"""The snippets of README.md: those marked ``<!-- run -->`` are run, all others must be commands that exist."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from trueline.cli.main import app
from trueline.studies.spec import parse_spec

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
RUN = re.compile(r"<!-- run -->\n```(\w+)\n(.*?)```", re.DOTALL)
FENCE = re.compile(r"^```(sh|console|bash|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
STUDY_FIELDS = ("targets:", "measures:")
SHELLS = ("sh", "bash", "console")


def commands(text: str, kind: str) -> Iterator[str]:
    """The commands of a shell block; in a ``console`` block those after a prompt."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        if kind == "console":
            if line.startswith("$ "):
                yield line[2:]
        else:
            yield line


def test_the_marked_snippets_run(tmp_path: Path) -> None:
    snippets = RUN.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {kind for kind, _ in snippets} >= {"sh", "python"}
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    for kind, text in snippets:
        script = "\n".join(commands(text, kind)) if kind in SHELLS else text
        run = ["bash", "-euo", "pipefail", "-c", script] if kind in SHELLS else [sys.executable, "-c", script]
        ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr


def written_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if kind != "yaml":
                found += [
                    (page.name, line) for line in commands(text, kind) if "trueline " in line.split("#")[0]
                ]
    return found


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_every_command_that_is_shown_exists(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    start = next(i for i, word in enumerate(words) if word.rsplit("/", 1)[-1] == "trueline")
    rest = words[start + 1 :]
    stop = next((i for i, word in enumerate(rest) if word in ("|", ">", "&&", ";", "2>&1")), len(rest))
    command, context, left = typer.main.get_command(app), None, rest[:stop]
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        context = command.make_context("trueline", left[:1], parent=context, resilient_parsing=True)
        assert left[0] in command.commands, f"{page}: {line}"
        command, left = command.commands[left[0]], left[1:]
    command.make_context("trueline", left, parent=context)


def test_every_study_that_is_shown_is_one() -> None:
    shown = 0
    for page in PAGES:
        for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if kind == "yaml" and all(field in text for field in STUDY_FIELDS):
                parse_spec(yaml.safe_load(text), where=page.name)
                shown += 1
    assert shown
