"""The command line. Verbs import what they need when they run, so that --help answers at once."""

import errno
import os
import sys
from typing import Any, NoReturn

import typer

from trueline.core.errors import InputError, TruelineError, UnfinishedError

from . import (
    align,
    attack,
    compare,
    data,
    demo,
    diff,
    export,
    gate,
    judge,
    label,
    listing,
    measure,
    report,
    study,
    testbed,
    weak_to_strong,
)

HELP = """Measure how unsafe a language model is, treat it, and see what each treatment bought and what it cost.

MODEL is [bold]testbed[/bold], a folder or hub name of a transformers model, or [bold]openai:NAME@BASE_URL[/bold].
"""
EPILOG = (
    "Exit codes: 0 done (gate: pass) · 1 gate failed · 2 bad input · 3 unfinished, run again to resume · "
    "4 gate inconclusive"
)

FULL = "the disk is full{place}; free some space and run the same command again to resume."
STOPPED = "stopped; what was finished is kept, run the same command again to resume."
INTERRUPTED = 130  # what typer makes of Ctrl-C; older ones raise Abort
# The root of typer's own usage errors, by whichever click it builds on.
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
    add_completion=False,
)  # fmt: skip
app.command()(demo.demo)
app.command()(diff.diff)
app.command()(measure.measure)
app.command()(align.align)
app.command()(attack.attack)
app.command()(compare.compare)
app.command()(report.report)
app.command()(gate.gate)
app.command()(export.export)
app.command()(label.label)
app.command("weak-to-strong")(weak_to_strong.weak_to_strong)
app.command("list")(listing.listing)
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")
app.add_typer(judge.app, name="judge")
app.add_typer(testbed.app, name="testbed")


def _version(show: bool) -> None:
    if show:
        from trueline import __version__

        typer.echo(f"trueline {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of every verb."""


def main() -> None:
    """Run the command line; a user's mistake is one sentence and an exit code, never a traceback."""
    try:
        code = app(standalone_mode=False)  # otherwise typer would answer errors and interrupts its own way
    except TruelineError as error:
        _stop(str(error), error.exit_code)
    except USAGE_ERROR as error:
        words = error.format_message().replace("Value error, ", "").rstrip(".")
        if words:  # without arguments it is the help, which has been printed
            where = f" (see {error.ctx.command_path} --help)." if error.ctx is not None else "."
            _stop(words + where, error.exit_code)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _stop(STOPPED, UnfinishedError.exit_code)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of a pipe has gone: `trueline list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        place = f" at {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _stop(FULL.format(place=place), UnfinishedError.exit_code)
        reason = (error.strerror or str(error)).lower()
        _stop(f"{reason}{place}; check the path and its rights.", InputError.exit_code)
    if code == INTERRUPTED:
        _stop(STOPPED, UnfinishedError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(words: str, code: int) -> NoReturn:
    typer.secho(f"trueline: {words}", err=True, fg="red" if code == 2 else "yellow")
    sys.exit(code)


if __name__ == "__main__":
    main()
