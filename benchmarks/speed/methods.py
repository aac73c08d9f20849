"""What is compared: for each method our objective, trl's trainer with its settings, and the data of both.

``best`` are trl's best settings: no gradient checkpointing, and the reference's log-probabilities computed once.
Prompts have about 150 or 12 tokens and answers about 89 with their end token, or both are as long as in real pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trueline.models.trees import Tree
from trueline.training.batches import Example
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.kto import KTOObjective
from trueline.training.objectives.orpo import ORPOObjective
from trueline.training.objectives.reward import RewardObjective
from trueline.training.objectives.sft import SFTObjective
from trueline.training.objectives.simpo import SimPOObjective

from .lengths import lengths
from .models import END, FIRST, words

PER_STEP = 4
CHECKPOINTING = {"gradient_checkpointing": False}
REFERENCE = {"precompute_ref_log_probs": True, **CHECKPOINTING}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A prompt with two answers, as token ids; answers end with the end token."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


def make_rows(count: int, vocabulary: int, prompts: str) -> list[Row]:
    """Random token ids in rows of one kind of lengths."""
    draw = np.random.default_rng(0)

    def tokens(size: int) -> tuple[int, ...]:
        return tuple(int(t) for t in draw.integers(FIRST, vocabulary, size))

    return [
        Row(prompt=tokens(prompt), chosen=(*tokens(chosen), END), rejected=(*tokens(rejected), END))
        for prompt, chosen, rejected in lengths(prompts, count, draw)
    ]


def _pair(place: int, rows: Sequence[Row]) -> Example:
    row = rows[place]
    return Example(tree=Tree(trunk=row.prompt, branches=(row.chosen, row.rejected)), index=place)


def _their_pair(place: int, row: Row) -> dict[str, Any]:
    """trl adds the end token itself."""
    return {
        "prompt": words(row.prompt),
        "chosen": words(row.chosen[:-1]),
        "rejected": words(row.rejected[:-1]),
    }


def _shown(place: int, rows: Sequence[Row]) -> Example:
    return Example(tree=Tree(trunk=rows[place].prompt, branches=(rows[place].chosen,)), index=place)


def _their_shown(place: int, row: Row) -> dict[str, Any]:
    return {"prompt": words(row.prompt), "completion": words(row.chosen[:-1])}


def _wanted(place: int) -> bool:
    return place % 3 > 0


def _labelled(place: int, rows: Sequence[Row]) -> Example:
    """With the answer that trl takes for its baseline: the one before, around the end of a step."""
    start = place - place % PER_STEP
    other = rows[place - 1 if place > start else start + PER_STEP - 1].chosen
    mismatched = Example(tree=Tree(trunk=rows[place].prompt, branches=(other,)), index=place)
    facts = {"wanted": (float(_wanted(place)),)}
    return Example(tree=_shown(place, rows).tree, index=place, facts=facts, mismatched=mismatched)


def _their_labelled(place: int, row: Row) -> dict[str, Any]:
    return {**_their_shown(place, row), "label": _wanted(place)}


@dataclass(frozen=True, kw_only=True)
class Method:
    """``trainer`` is the name of trl's. ``same`` is false where trl's own loss is another quantity, so that only
    the time can be compared (the reason stands in docs/methods.md)."""

    objective: Any
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=lambda: CHECKPOINTING)
    example: Callable[[int, Sequence[Row]], Example] = _pair
    theirs: Callable[[int, Row], dict[str, Any]] = _their_pair
    same: bool = True

    @property
    def reward(self) -> bool:
        """Whether it trains a one-number head."""
        return self.objective.name == "reward"


METHODS = {
    "dpo": Method(objective=DPOObjective(beta=0.1), trainer="DPO", settings={"beta": 0.1}, best=REFERENCE),
    "reward": Method(objective=RewardObjective(), trainer="Reward"),
    "kto": Method(
        objective=KTOObjective(beta=0.1),
        trainer="KTO",
        settings={"beta": 0.1, "max_length": 2048},  # a prompt with another's answer may be longer than a row
        best=REFERENCE,
        example=_labelled,
        theirs=_their_labelled,
    ),
    # trl's likelihood term runs over the prompt too: tests/training/test_trl_parity.py has both forms equal
    "orpo": Method(objective=ORPOObjective(weight=0.1), trainer="ORPO", settings={"beta": 0.1}, same=False),
    "simpo": Method(
        objective=SimPOObjective(beta=2.0, gamma=0.7),
        trainer="CPO",
        settings={"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 0.7},
    ),
    "sft": Method(objective=SFTObjective(), trainer="SFT", example=_shown, theirs=_their_shown),
}
