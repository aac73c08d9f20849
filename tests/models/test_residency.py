"""Models take turns under a byte budget; what they answer does not depend on it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import Sampling
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget
from trueline.models.residency import Residency

Folder = Callable[[str], Path]
SETTINGS = Sampling(max_tokens=6, temperature=1.0, samples=2)


def hold(residency: Residency, key: str, size: int, keep: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    dropped = residency.reserve(key, size, keep=keep)
    if dropped is not None:
        residency.fill(key, object(), size)
    return dropped


def test_the_longest_unused_make_room() -> None:
    residency = Residency(10)
    assert hold(residency, "a", 4) == ()
    assert hold(residency, "b", 4) == ()
    residency.get("a")
    assert hold(residency, "c", 5) == ("b",)
    assert "a" in residency and "b" not in residency
    assert residency.used_bytes == 9
    assert (residency.loads["b"], residency.evictions["b"]) == (1, 1)


def test_nothing_is_dropped_when_the_room_would_not_do() -> None:
    residency = Residency(10)
    hold(residency, "a", 4)
    hold(residency, "b", 4)
    assert hold(residency, "c", 7, keep=("b",)) is None
    assert "a" in residency and "b" in residency


def test_a_model_being_loaded_is_not_dropped_and_can_be_released() -> None:
    residency = Residency(10)
    assert residency.reserve("a", 8, keep=()) == ()
    assert residency.reserve("b", 8, keep=()) is None
    residency.release("a")
    assert residency.reserve("b", 8, keep=()) == ()


def test_a_model_larger_than_the_budget_is_refused() -> None:
    with pytest.raises(InputError, match="11 bytes does not fit the memory budget of 10"):
        Residency(10).reserve("a", 11, keep=())
    with pytest.raises(InputError, match="holds no model"):
        Residency(0)


def pair(engine: Engine, saved_models: Path) -> tuple[LocalTarget, LocalTarget]:
    one, two = (LocalTarget.from_pretrained(saved_models / name, engine=engine) for name in ("one", "two"))
    return one, two


async def conversation(one: LocalTarget, two: LocalTarget, number: int) -> list[Any]:
    """An attack's pattern: the second model goes on from what the first one said."""
    said: list[Any] = []
    text = f"topic {number}"
    for _ in range(2):
        for target in (one, two):
            completions = await target.generate(text, SETTINGS)
            said.append([c.token_ids for c in completions])
            (score,) = await target.score(text, ["a"])
            said.append(pytest.approx(score.logprob, abs=1e-4))
            text = (text + completions[0].text)[-40:]
    return said


async def conversations(one: LocalTarget, two: LocalTarget) -> list[Any]:
    return await asyncio.gather(*(conversation(one, two, n) for n in range(6)))


def test_with_memory_for_one_of_two_models_results_are_equal_and_loads_counted(saved_models: Path) -> None:
    roomy, tight = Engine(), None
    ample = pair(roomy, saved_models)
    tight = Engine(budget_bytes=int(1.5 * ample[0].source.weight_bytes))
    narrow = pair(tight, saved_models)
    expected = asyncio.run(conversations(*ample))
    for ours, theirs in zip(asyncio.run(conversations(*narrow)), expected, strict=True):
        assert [getattr(said, "expected", said) for said in ours] == theirs
    assert roomy.usage.loads == 2
    assert tight.usage.loads > 2
    for target in narrow:
        assert tight.residency.loads[target.source.key] == tight.usage_by_model[target.source.key].loads
    assert tight.residency.used_bytes <= tight.residency.budget_bytes  # type: ignore[operator]
    # Batching keeps swaps few: six conversations of four turns would swap up to 24 times, one by one.
    assert tight.usage.loads <= 12


def test_a_model_that_never_fits_fails_its_requests_alone(saved_models: Path) -> None:
    one = LocalTarget.from_pretrained(saved_models / "one", engine=Engine(budget_bytes=1000))
    with pytest.raises(InputError, match="does not fit the memory budget"):
        asyncio.run(one.generate("x", SETTINGS))


def test_a_folder_that_vanishes_before_its_first_use_fails(model_folder: Folder) -> None:
    path = model_folder("one")
    gone = LocalTarget.from_pretrained(path, engine=Engine(budget_bytes=10**6))
    assert gone.tokenizer and gone.source.config and gone.source.key
    (path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is not a whole"):
        asyncio.run(gone.generate("x", SETTINGS))


def test_a_folder_that_breaks_while_it_waits_fails_and_frees_its_room(model_folder: Folder) -> None:
    engine = Engine(budget_bytes=10**6)
    path = model_folder("one")
    broken = LocalTarget.from_pretrained(path, engine=engine)
    assert broken.source.weight_bytes > 0
    (path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot be loaded"):
        asyncio.run(broken.generate("x", SETTINGS))
    assert engine.residency.used_bytes == 0
    whole = LocalTarget.from_pretrained(model_folder("two"), engine=engine)
    assert asyncio.run(whole.generate("x", SETTINGS))
