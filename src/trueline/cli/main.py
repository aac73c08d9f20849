"""The command line. Verbs import what they need when they run, so that --help answers at once."""

import sys

import typer

from trueline.core.errors import TruelineError

from . import align, attack, compare, data, demo, diff, gate, listing, measure, report, study, testbed

HELP = """Measure how unsafe a language model is, treat it, and see what each treatment bought and what it cost.

MODEL is [bold]testbed[/bold], a folder or hub name of a transformers model, or [bold]openai:NAME@BASE_URL[/bold].
"""
EPILOG = (
    "Exit codes: 0 done (gate: pass) · 1 gate failed · 2 bad input · 3 unfinished, run again to resume · "
    "4 gate inconclusive"
)

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
app.command("list")(listing.listing)
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")
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
        app()
    except TruelineError as error:
        typer.secho(f"trueline: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.secho("trueline: stopped; run the same command again to resume.", err=True, fg="yellow")
        sys.exit(3)
    except OSError as error:
        from errno import ENOSPC

        if error.errno != ENOSPC:
            raise
        typer.secho(
            "trueline: the disk is full; free some space and run the same command again to resume.", err=True
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
