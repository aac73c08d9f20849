"""Weak to strong: the gap by hand, parts that share no prompt, and the whole way on scripted models."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat, last_user
from trueline.core.protocols import Resources
from trueline.core.verdicts import Verdict
from trueline.data.preferences import Demonstration
from trueline.studies import weak_to_strong as module
from trueline.studies.weak_to_strong import parts_of, pgr, says_the_same, weak_to_strong
from trueline.testbed.gold import gold
from trueline.testbed.skills import is_right, skill_questions
from trueline.testbed.world import WorldSpec, build_world


def rows(count: int, repeated: int = 1) -> list[Demonstration]:
    """Questions "0?", "1?" ... whose answers are their numbers."""
    return [Demonstration(prompt=chat(f"{n // repeated}?"), answer=str(n // repeated)) for n in range(count)]


def test_the_gap_by_hand() -> None:
    # weak 1/4, student 2/4, ceiling 3/4: half of the gap; with the last question left out (0, 1, 2 of 3), half as well.
    columns = {
        "weak": np.array([0.0, 0, 0, 1]), "student": np.array([1.0, 0, 0, 1]), "ceiling": np.array([1.0, 1, 0, 1])
    }  # fmt: skip
    assert pgr(columns, np.ones(4)) == pytest.approx(0.5)
    assert pgr(columns, np.array([1.0, 1, 1, 0])) == pytest.approx(0.5)
    assert math.isnan(pgr({**columns, "ceiling": columns["weak"]}, np.ones(4)))


def test_where_there_is_no_gap_there_is_no_value() -> None:
    def verdicts(ceiling: int) -> list[Verdict]:
        return [
            Verdict(
                item=str(n),
                values={"weak": float(n < 10), "student": float(n < 15), "ceiling": float(n < ceiling)},
            )
            for n in range(40)
        ]

    assert module._recovered(verdicts(11)).value is None
    found = module._recovered(verdicts(30))
    assert found.value == pytest.approx(0.25) and found.low is not None and found.low < 0.25


def test_parts_share_no_prompt() -> None:
    parts = parts_of(rows(90, repeated=2), seed=1)
    asked = [{row.prompt for row in part} for part in (parts.supervisor, parts.student, parts.test)]
    assert not (asked[0] & asked[1] or asked[0] & asked[2] or asked[1] & asked[2])
    assert sum(map(len, (parts.supervisor, parts.student, parts.test))) == 90
    assert parts_of(rows(90), seed=1) == parts_of(rows(90), seed=1) != parts_of(rows(90), seed=2)


def test_parts_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="needs 10 or more"):
        parts_of(rows(20), seed=0)
    with pytest.raises(InputError, match="5 prompts stand in training and test"):
        parts_of(rows(40), seed=0, test=rows(5))


def test_words_are_compared() -> None:
    assert says_the_same("q", "Paris.", " paris")
    assert not says_the_same("q", "Paris", "It is Paris") and not says_the_same("q", "...", "")


class Says:
    """Answers with what a function makes of the question's number."""

    def __init__(self, answer: Callable[[int], str], name: str = "strong") -> None:
        self.answer = answer
        self.name = name

    async def generate(self, prompt: Any, sampling: Any) -> tuple[Completion, ...]:
        return (Completion(text=self.answer(int(last_user(prompt).rstrip("?")))),)


class Learning:
    """Fine-tuning that knows by heart what it was shown, and of the rest what its rows taught: right or wrong."""

    def apply(self, target: Any, resources: Resources) -> Says:
        shown: Sequence[Demonstration] = resources.demonstrations
        wrong = sum(row.answer != last_user(row.prompt).rstrip("?") for row in shown) / len(shown)
        weak = target.name == "weak"

        def answer(number: int) -> str:
            limit = (
                5 if weak else 9 - 5 * wrong
            )  # of ten; noisy labels spoil the strong one by half of their noise
            return str(number) if number % 10 < limit else "" if number % 10 == 9 else "no"

        return Says(answer)


def test_the_whole_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "make", lambda kind, name, dials: Learning())
    weak: Any = Says(lambda number: "no", "weak")
    strong: Any = Says(lambda number: "no")
    found = weak_to_strong(weak, strong, parts_of(rows(900), seed=0), workdir=tmp_path)
    assert found.untrained.value == 0.0 and not found.knew
    assert replace(found, untrained=found.ceiling).knew
    assert found.weak.value == pytest.approx(0.5, abs=0.05)
    assert found.ceiling.value == pytest.approx(0.9, abs=0.05)
    # Lost labels (one in ten) teach nothing; of the others 4 in 9 are wrong, so the student knows 7 of ten.
    assert found.labels_lost == pytest.approx(30, abs=12) and found.labels_right == pytest.approx(
        5 / 9, abs=0.05
    )
    assert found.student.value == pytest.approx(0.7, abs=0.05)
    assert found.pgr.value == pytest.approx(0.5, abs=0.1) and found.rows["student"] == 300


def test_the_testbeds_questions_are_gold_and_never_twice_the_same() -> None:
    world = build_world(WorldSpec())
    for skill in ("lookups", "repeats"):
        asked = skill_questions(world, skill, 60, 0)
        assert len({row.prompt for row in asked}) == 60
        right = is_right(world)
        assert all(right(row.prompt, row.answer, row.answer) for row in asked)
        assert all(gold(world, row.prompt).answer == row.answer for row in asked)
        assert skill_questions(world, skill, 60, 1) != asked
    with pytest.raises(InputError, match="unknown skill"):
        skill_questions(world, "singing", 1, 0)
