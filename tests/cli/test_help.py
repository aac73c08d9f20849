"""Help that answers at once, and shows an example of every verb."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from trueline import __version__
from trueline.cli.main import app

from .running import done, refused, trueline

HEAVY = ("torch", "transformers", "accelerate", "peft", "numpy", "scipy", "pydantic", "sqlalchemy", "openai",
         "jinja2", "yaml")  # fmt: skip
ASK = """
import sys
from trueline.cli.main import main
sys.argv = ["trueline", "--help"]
try:
    main()
finally:
    import json
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
SECONDS = 0.5


def verbs(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path
    else:
        for name, child in children.items():
            yield from verbs(child, (*path, name))


VERBS = list(verbs(typer.main.get_command(app)))


def test_help_imports_nothing_heavy() -> None:
    run = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert "Exit codes" in run.stdout and "diff" in run.stdout
    loaded = set(json.loads(run.stderr))
    assert not loaded & set(HEAVY)


def test_help_answers_within_half_a_second() -> None:
    # Processor seconds, so that other work on the machine does not decide; the best of three.
    def seconds() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-m", "trueline.cli.main", "--help"], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < SECONDS


def test_version() -> None:
    assert done("--version").out == f"trueline {__version__}\n"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_shows_an_example(verb: tuple[str, ...]) -> None:
    assert f"Example: trueline {' '.join(verb)}" in done(*verb, "--help").out


@pytest.mark.parametrize("verb", [(), ("study",), ("data",), ("testbed",)], ids=str)
def test_without_arguments_it_is_help(verb: tuple[str, ...]) -> None:
    answer = trueline(*verb)
    assert answer.code == 2 and "Usage: " in answer.out and answer.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["measrue", "testbed"], "Did you mean 'measure'?"),
        (["measure"], "Missing argument 'model' (see trueline measure --help)."),
        (["measure", "testbed"], "Missing option"),
        (["measure", "testbed", "-m", "arc", "--limit", "0"], "'--limit'"),
        (["measure", "testbed", "-m", "arc", "--limitt", "3"], "--limit"),
        (["list", "mesures"], "'measures', 'attacks', 'treatments', 'judges', 'suites'"),
    ],
)
def test_a_mistyped_command_is_one_sentence(arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)
