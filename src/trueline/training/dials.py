"""What a hyper-parameter may be: the same sentence for every method."""

import math

from trueline.core.errors import InputError


def above_zero(method: str, **dials: float) -> None:
    """Each of ``dials`` must be a finite number above 0."""
    for name, value in dials.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} {value} is not allowed: {method} needs a number above 0.")


def at_least_zero(method: str, **dials: float) -> None:
    """Each of ``dials`` must be a finite number of at least 0."""
    for name, value in dials.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} {value} is not allowed: {method} needs a number of at least 0.")


def flip_rate(method: str, **dials: float) -> None:
    """Each of ``dials`` is the share of labels that are wrong: in [0, 0.5), as at 0.5 they say nothing."""
    for name, value in dials.items():
        if not 0 <= value < 0.5:
            raise InputError(
                f"{name} {value} is not allowed: {method} needs a share of wrong labels in [0, 0.5)."
            )


def one_of(method: str, options: tuple[str, ...], **dials: str) -> None:
    """Each of ``dials`` must be among ``options``."""
    for name, value in dials.items():
        if value not in options:
            raise InputError(f"{name} {value!r} is not known to {method}: give {' or '.join(options)}.")
