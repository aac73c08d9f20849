"""Errors for users: what went wrong, which value, what is allowed, and the fix, in one sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class TruelineError(Exception):
    """Base of every error that a user can cause or must know of; the command line prints it in one line."""

    exit_code = 2


class InputError(TruelineError, ValueError):
    """A value that the user gave cannot be used (exit code 2)."""


class UnfinishedError(TruelineError):
    """Work stopped before its end; what was stored is whole and can be resumed (exit code 3)."""

    exit_code = 3


class NotMeasurableError(TruelineError):
    """A target lacks what a measure or attack needs; the study lists the cell with this reason."""


class MissingExtraError(InputError):
    """An optional dependency was chosen but is not installed."""

    def __init__(self, *, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an optional dependency; install it with: pip install 'trueline[{extra}]'."
        )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a catalogue, with the nearest names that are."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}."
    return InputError(f"unknown {kind} {name!r}: {hint}")
