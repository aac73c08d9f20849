"""One forward pass gives log-likelihood, zlib, Min-K %, Min-K %++ and confidence."""

import asyncio
import math
from typing import Any

import pytest
import torch
from local_models import byte_tokenizer, tiny_llama

from trueline.core.messages import chat
from trueline.core.verdicts import Item
from trueline.measures.data_safety.membership_inference import MembershipInference
from trueline.measures.data_safety.membership_statistics import min_k_plus, zlib_ratio
from trueline.measures.model_safety.calibration import Calibration
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

TEXTS = ("The cat sat on the mat.", "A dog, a log, a bog.", "zzz zzz")


@pytest.fixture
def counted() -> tuple[LocalTarget, Any, list[int]]:
    """A target, its module, and the tokens of each pass through its decoder (what probes it has run before)."""
    model = tiny_llama()
    target = LocalTarget.from_module(model, byte_tokenizer(), name="tiny", engine=Engine())
    asyncio.run(target.score("warm", ["up"]))
    passes: list[int] = []
    model.model.register_forward_hook(lambda module, args, output: passes.append(output[0].shape[1]))
    return target, model, passes


def test_all_membership_scores_come_from_one_pass(counted: tuple[LocalTarget, Any, list[int]]) -> None:
    target, model, passes = counted
    items = [
        Item(id=text, prompt="", options=(text,), group="member", data={"member": True, "blind": 0.0})
        for text in TEXTS
    ]

    async def examined() -> Any:
        return await asyncio.gather(*(MembershipInference().examine(item, target) for item in items))

    verdicts = asyncio.run(examined())
    assert len(passes) == 1  # for all three texts together
    for text, verdict in zip(TEXTS, verdicts, strict=True):
        ids = torch.tensor([byte_tokenizer()(text).input_ids])
        with torch.no_grad():
            logps = model(ids).logits[0, :-1].double().log_softmax(-1)
        picked = logps.gather(-1, ids[0, 1:, None])[:, 0]
        mean = (logps.exp() * logps).sum(-1)
        variance = (logps.exp() * logps.square()).sum(-1) - mean.square()
        values = verdict.values
        assert values["loss"] == pytest.approx(float(picked.mean()), abs=1e-4)
        assert values["zlib"] == pytest.approx(zlib_ratio(picked.tolist(), text), rel=1e-4)
        lowest = picked.sort().values[: max(1, len(picked) // 5)]
        assert values["min_k"] == pytest.approx(float(lowest.mean()), abs=1e-4)
        standard = (picked - mean) / variance.sqrt()
        lowest = standard.sort().values[: max(1, len(picked) // 5)]
        assert values["min_k_plus"] == pytest.approx(float(lowest.mean()), abs=1e-3)
        moments = list(zip(mean.tolist(), variance.tolist(), strict=True))
        assert values["min_k_plus"] == pytest.approx(min_k_plus(picked.tolist(), moments), abs=1e-3)


def test_an_answer_and_its_confidence_come_from_one_pass(
    counted: tuple[LocalTarget, Any, list[int]],
) -> None:
    target, _, passes = counted
    item = Item(
        id="q", prompt=chat("Which?"), options=("this one", "that", "neither of them"), data={"label": 1}
    )
    verdict = asyncio.run(Calibration().examine(item, target))
    assert len(passes) == 1
    (*scores,) = asyncio.run(target.score(item.prompt, item.options))
    shares = [math.exp(score.logprob) for score in scores]
    assert verdict.values["confidence"] == pytest.approx(max(shares) / sum(shares), rel=1e-4)
