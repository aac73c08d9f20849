"""The command line as a user meets it: arguments in; exit code, standard output and standard error out."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from trueline.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What came of one command."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The error, without the name of the program; there must be exactly one, in the last line."""
        assert "Traceback" not in self.err + self.out
        said = [line for line in self.err.splitlines() if line.startswith("trueline: ")]
        assert len(said) == 1 and self.err.splitlines()[-1] == said[0], self.err
        return said[0].removeprefix("trueline: ")


def trueline(*arguments: object) -> Answer:
    """Run one command in this process, through the program's own entry point."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["trueline", *map(str, arguments)])
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setenv("COLUMNS", "200")
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Answer:
    """A command that must succeed."""
    answer = trueline(*arguments)
    assert answer.code == 0, answer.err + answer.out
    return answer


def refused(*arguments: object, code: int = 2) -> str:
    """The one sentence of a command that must end with ``code``."""
    answer = trueline(*arguments)
    assert answer.code == code, (answer.code, answer.err, answer.out)
    return answer.sentence
