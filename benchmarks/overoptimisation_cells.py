"""What the benchmarks of over-optimisation share: reward models of noisy annotators, and cells that are kept.

A cell is one reward model (its size, the annotator's label noise, a seed) under one way to optimise it. The seed draws
the annotator's pairs, the order in which the reward model reads them, and a policy's prompts and answers. Each finished
cell is a line of ``cells.jsonl`` in the output folder; the same command goes on with those that are not there.
"""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.core.messages import Conversation, Sampling, from_json
from trueline.core.protocols import Resources
from trueline.data.preferences import PreferencePair
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.annotators import Annotator, preference_pairs
from trueline.training.reward_model import TrainedReward
from trueline.treatments.reward import trained_reward

WORLD = embedded.world()
CELLS = "cells.jsonl"
HELD_OUT = 300  # pairs without noise on which a reward model's accuracy is read
ANSWER_TOKENS = 40
UNTREATED = (
    "untreated"  # the kind of a cell that holds what the untreated model has on each rollout's prompts
)


class Cells:
    """Finished cells of a folder, by their settings."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / CELLS
        self.found = read_cells(folder)

    def has(self, about: Mapping[str, Any]) -> bool:
        """Whether a cell of these settings is there."""
        return any(all(cell.get(name) == value for name, value in about.items()) for cell in self.found)

    def add(self, cell: Mapping[str, Any]) -> None:
        """Keep a finished cell."""
        with self._file.open("a") as stream:
            stream.write(json.dumps(cell) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.found.append(dict(cell))


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """The cells of a folder; a line torn by a kill is left out."""
    file = folder / CELLS
    text = file.read_text() if file.is_file() else ""
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        file.write_text(text)
    return [json.loads(line) for line in text.splitlines()]


def pairs(noise: float, labels: int, seed: int) -> tuple[PreferencePair, ...]:
    """What an annotator says."""
    rows = preference_pairs(WORLD, labels, Annotator(noise=noise), seed)
    return tuple(PreferencePair(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)


def learnt(
    folder: Path, size: str, said: Sequence[PreferencePair], seed: int, *, rate: float, epochs: float
) -> tuple[Path, TrainedReward]:
    """The reward model of this size that learnt these pairs, and its folder."""
    target = LocalTarget.from_pretrained(embedded.folder(size), dtype="float32")
    resources = Resources(workdir=folder, preferences=said, seed=seed)
    reward = trained_reward(target, resources, learning_rate=rate, epochs=epochs)
    (model,) = folder.glob("reward-*/model")
    return model, reward


def accuracy(reward: TrainedReward) -> float:
    """How often it prefers what gold prefers, on pairs of other draws."""
    right = []
    for pair in pairs(0.0, HELD_OUT, 1_000_003):
        chosen, rejected = reward(pair.prompt, [pair.chosen, pair.rejected])
        right.append(chosen > rejected)
    return float(np.mean(right))


def draws(target: LocalTarget, prompts: Sequence[Conversation], samples: int) -> list[list[str]]:
    """Answers of a target to each prompt at temperature 1."""

    async def answer() -> list[Any]:
        wanted = Sampling(max_tokens=ANSWER_TOKENS, temperature=1.0, samples=samples, seed=17)
        return await asyncio.gather(*(target.generate(prompt, wanted) for prompt in prompts))

    return [[c.text for c in completions] for completions in asyncio.run(answer())]


def rewards(reward: Any, prompts: Sequence[Conversation], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """[prompts, answers]."""
    return np.array([reward(prompt, list(texts)) for prompt, texts in zip(prompts, answers)])
