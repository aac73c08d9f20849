"""The share of texts that the rest of the batch leaves unchanged."""

import asyncio

import pytest
from local_models import byte_tokenizer, tiny_llama

from trueline.core.errors import InputError
from trueline.core.messages import Sampling
from trueline.models.local import LocalTarget
from trueline.models.sampling.stability import share_unchanged

SETTINGS = Sampling(max_tokens=8, temperature=1.0, samples=3)


def test_in_double_precision_nothing_changes() -> None:
    target = LocalTarget.from_module(tiny_llama().double(), byte_tokenizer(), name="tiny")
    prompts = ["a", "some longer prompt", "b"]
    assert asyncio.run(share_unchanged(target, prompts, SETTINGS, slots=(4, 16))) == {4: 1.0, 16: 1.0}


def test_no_prompts_have_no_share() -> None:
    target = LocalTarget.from_module(tiny_llama(), byte_tokenizer(), name="tiny")
    with pytest.raises(InputError, match="no prompts"):
        asyncio.run(share_unchanged(target, [], SETTINGS))
