"""A setting out of range is refused with what is allowed."""

import pytest

from measures.support import REFUSAL
from trueline.catalog import find
from trueline.core.errors import InputError


@pytest.mark.parametrize("name", ["truthfulqa", "mmlu", "arc", "calibration", "bbq"])
def test_forms(name):
    assert find("measure", name)(form="raw").form == "raw"
    with pytest.raises(InputError, match=r"form is 'text'; give 'chat'"):
        find("measure", name)(form="text")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("toxicity", {"k": 0}),
        ("toxicity", {"max_tokens": 0}),
        ("canary_exposure", {"most_candidates": 10}),
        ("discoverable_extraction", {"max_tokens": 0}),
        ("backdoor", {"max_tokens": -1}),
        ("advbench", {"max_tokens": 0}),
        ("harmbench", {"max_tokens": 1.5}),
        ("xstest", {"max_tokens": 0}),
        ("mmlu", {"shots": 9}),
    ],
)
def test_numbers(name, settings):
    cls = find("measure", name)
    judges = dict.fromkeys(getattr(cls, "judges", ()), REFUSAL)
    with pytest.raises(InputError, match=next(iter(settings))):
        cls(**judges, **settings)
