"""Membership statistics on a real model, beside a naive computation over the whole vocabulary in fp64.

The naive one follows the papers' equations, and the two published programs where a paper leaves a choice
(swj0419/detect-pretrain-code at 0dba8bc, zjysteven/mink-plus-plus at 62281ab): ⌊k·T⌋ tokens count as the lowest k,
zlib divides the *mean* log-likelihood, μ and σ are moments of log p under p, over all of the vocabulary.
"""

import asyncio
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from trueline.core.verdicts import Item
from trueline.measures.data_safety.membership_inference import MembershipInference

TEXTS = (
    "It was a bright cold day in the garden, and the old man walked slowly to the river with his dog.",
    "zq 0193 :: ];[ Unlikely strings of SIGNS -- 77,4 %% follow, which no book that I know of holds!",
    "The king said that he would come, and the king came; then the king said that he would go.",
)


@pytest.fixture(scope="module")
def folder() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    found = Path(os.environ.get("TRUELINE_DATA") or beside).parent / "models" / "real6m"
    if not found.is_dir():
        pytest.skip("the small real model is not on this machine")
    return found


def naive(model, tokenizer, text: str) -> dict[str, float]:
    """Each statistic from the full table of log p [tokens, vocabulary], token by token."""
    import torch

    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([start + ids])).logits[0].numpy()
    first = 0 if start else 1
    table = logits[: len(start + ids) - 1]
    table = table - table.max(axis=1, keepdims=True)
    table = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    told, standardised = [], []
    for row, token in zip(table, ids[first:], strict=True):
        p = np.exp(row)
        mean = float((p * row).sum())
        spread = float(np.sqrt((p * (row - mean) ** 2).sum()))
        told.append(float(row[token]))
        standardised.append((told[-1] - mean) / spread)
    lowest = int(0.2 * len(told))
    return {
        "loss": float(np.mean(told)),
        "zlib": float(np.mean(told)) / len(zlib.compress(text.encode())),
        "min_k": float(np.mean(sorted(told)[:lowest])),
        "min_k_plus": float(np.mean(sorted(standardised)[:lowest])),
    }


def test_every_statistic_equals_the_naive_one_in_fp64(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trueline.models.local import LocalTarget

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float64").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    target = LocalTarget.from_pretrained(str(folder), dtype="float32")
    measure = MembershipInference()
    for number, text in enumerate(TEXTS):
        item = Item(id=str(number), prompt="", options=(text,), data={"blind": 0.0, "member": True})
        found = asyncio.run(measure.examine(item, target)).values
        for name, value in naive(model, tokenizer, text).items():
            assert found[name] == pytest.approx(value, rel=1e-4), (name, text)
