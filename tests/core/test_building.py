"""Options that a user gives: read as their type, or refused in one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from trueline.core.building import build
from trueline.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Thing:
    rate: float = 0.1
    steps: int | None = None
    lora: bool = False
    name: str = "x"
    mode: Literal["a", "b"] = "a"
    budget: Mapping[str, float] | None = None
    layers: int | tuple[int, ...] = 0
    words: Sequence[str] = ()
    other: Any = None


def made(**given: Any) -> Thing:
    thing: Thing = build("treatment", "thing", Thing, given)
    return thing


@pytest.mark.parametrize(
    ("option", "value", "read"),
    [
        ("rate", "1e-3", 0.001),  # what YAML makes of it
        ("rate", 1, 1),
        ("steps", 3.0, 3),
        ("steps", "1e3", 1000),
        ("steps", None, None),
        ("lora", True, True),
        ("name", "5", "5"),
        ("mode", "b", "b"),
        ("budget", {"flops": "3e11"}, {"flops": 3e11}),
        ("layers", [0, 2], [0, 2]),
        ("layers", 2, 2),
        ("words", ["a", "b"], ["a", "b"]),
        ("other", object, object),
    ],
)
def test_a_value_is_read_as_its_type(option: str, value: Any, read: Any) -> None:
    found = getattr(made(**{option: value}), option)
    assert found == read and type(found) is type(read)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("rate", "fast", "a number"),
        ("rate", True, "a number"),
        ("rate", "inf", "a number"),
        ("steps", 1.5, "a whole number or nothing (null)"),
        ("lora", "maybe", "true or false"),
        ("lora", 1, "true or false"),
        ("name", 5, "a text"),
        ("mode", "c", "a or b"),
        ("budget", {"flops": "much"}, "a mapping ({name: value}) or nothing (null)"),
        ("layers", [0.5], "a whole number or a list"),
        ("words", "ab", "a list"),
    ],
)
def test_a_value_of_another_type_is_refused(option: str, value: Any, allowed: str) -> None:
    with pytest.raises(InputError) as error:
        made(**{option: value})
    assert str(error.value) == f"{option} {value!r} is not allowed for treatment 'thing': give {allowed}."


def test_an_unknown_option_and_a_lacking_one() -> None:
    with pytest.raises(
        InputError, match="treatment 'thing' does not take the option 'beta'; it takes: budget"
    ):
        made(beta=1)
