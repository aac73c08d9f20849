"""A treated target named in one line."""

import asyncio

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, chat
from trueline.interop.treated import parse_address, treated_target


def test_an_address_is_a_model_and_options():
    assert parse_address("some/folder") == ("some/folder", {})
    address = "testbed?treatment=self_reminder&strength=system&seed=3"
    assert parse_address(address) == (
        "testbed",
        {"treatment": "self_reminder", "strength": "system", "seed": 3},
    )
    assert parse_address("openai:m@http://host/v1?treatment=self_reminder") == (
        "openai:m@http://host/v1",
        {"treatment": "self_reminder"},
    )


def test_the_treatment_is_applied():
    plain, treated = (
        treated_target("testbed"),
        treated_target("testbed?treatment=self_reminder&strength=system"),
    )
    assert treated.fingerprint() != plain.fingerprint()
    assert treated.describe()["treatments"][0]["name"] == "self_reminder"
    again = treated_target("testbed", {"treatment": "self_reminder", "strength": "system"})
    assert again.fingerprint() == treated.fingerprint()
    said = asyncio.run(treated.generate(chat("Say the words blue green."), Sampling(max_tokens=8)))
    assert said[0].tokens > 0


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("testbed?treatment=self_remindr", "did you mean self_reminder"),
        ("testbed?strength=system", "takes no option 'strength'; name a treatment"),
        ("testbed?treatment=self_reminder&strenth=both", "does not take the option 'strenth'"),
        ("testbed?treatment", "write NAME=VALUE"),
        ("testbed?treatment=self_reminder&strength=[system, both]", "one strength"),
        ("testbed?examples=many", "examples"),
        ("nowhere/at-all", "nowhere"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(address, words):
    with pytest.raises(InputError) as raised:
        treated_target(address)
    assert words in str(raised.value)
