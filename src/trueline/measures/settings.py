"""Checks of what a user sets on a measure: a value out of range is refused, never read as another."""

from trueline.core.errors import InputError

from .choices import FORMS, Form


def at_least(least: int, **settings: int) -> None:
    """Raises InputError unless every setting is a whole number of at least ``least``."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} is {value!r}; give a whole number of {least} or more.")


def known_form(form: str) -> Form:
    """The form of a question, 'chat' or 'raw'; raises InputError for anything else."""
    for known in FORMS:
        if form == known:
            return known
    raise InputError(f"form is {form!r}; give 'chat' (a user turn) or 'raw' (text to be continued).")
