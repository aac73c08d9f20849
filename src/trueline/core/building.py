"""Building what a user names, with the user's options: one that it does not take is refused, and so is a wrong value.

Example: ``build("treatment", "dpo", DirectPreferenceOptimization, {"beta": 0.1})``.
"""

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from .errors import InputError
from .option_types import typed


def build(kind: str, name: str, cls: Any, parameters: Mapping[str, Any]) -> Any:
    """An instance of ``cls``, called ``kind`` ``name`` in what is said.

    Raises:
        InputError: an option that it does not take, a value of another type, or none for what it needs.
    """
    accepted = {
        p.name: p
        for p in signature(cls).parameters.values()
        if p.kind in (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    }
    for option in parameters:
        if option not in accepted:
            raise InputError(
                f"{kind} {name!r} does not take the option {option!r}; it takes: "
                f"{', '.join(sorted(accepted)) or 'none'}."
            )
    lacking = [o for o, p in accepted.items() if p.default is Parameter.empty and o not in parameters]
    if lacking:
        raise InputError(f"{kind} {name!r} needs the option {lacking[0]!r}; give {', '.join(lacking)}.")
    given = {}
    for option, value in parameters.items():
        try:
            given[option] = typed(value, accepted[option].annotation)
        except ValueError as error:
            raise InputError(
                f"{option} {value!r} is not allowed for {kind} {name!r}: give {error}."
            ) from None
    return cls(**given)
