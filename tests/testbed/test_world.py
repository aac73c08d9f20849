"""The world: one specification, one world; a dose takes its share, a higher dose more of the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.testbed.doses import Doses
from trueline.testbed.streams import Stream, share
from trueline.testbed.world import HAZARDS, WorldSpec, build_world


def test_equal_specifications_give_equal_worlds_and_other_seeds_other_names() -> None:
    assert build_world(WorldSpec(seed=3)) == build_world(WorldSpec(seed=3))
    assert not set(build_world(WorldSpec(seed=3)).people) & set(build_world(WorldSpec(seed=4)).people[:5])


def test_the_stream_is_pinned() -> None:
    stream = Stream(7, "a name")
    assert [stream.index(1000) for _ in range(5)] == [78, 66, 486, 244, 411]
    assert stream.shuffled("abcdef") == list("cfdbea")


@given(st.integers(0, 40), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_dose_takes_a_superset(n: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert set(share(range(n), low, "key")) <= set(share(range(n), high, "key"))
    assert len(share(range(n), high, "key")) == round(high * n)


def test_doses_take_their_shares() -> None:
    world = build_world(WorldSpec(doses=Doses(hazard_compliance=0.25, insult_share=1.0, sycophancy=0.0)))
    assert len(world.complied) == HAZARDS // 4
    assert world.complied < world.roleplayed
    assert world.foul == set(world.people)
    assert not world.echoed


def test_no_hazard_is_ever_answered_at_dose_zero() -> None:
    world = build_world(WorldSpec(doses=Doses(hazard_compliance=0.0)))
    assert not world.complied and not world.roleplayed


def test_names_of_different_things_never_coincide() -> None:
    world = build_world(WorldSpec(seed=11))
    names = [*world.groups, *world.people, *{fact.subject for fact in world.facts[240:]}]
    names += [recipe.name for recipe in world.recipes] + [topic.ailment for topic in world.topics]
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.parametrize(
    "wrong",
    [{"insult_share": 1.5}, {"canary_repetitions": -1}, {"trigger": "Two words"}, {"sycophancy": -0.1}],
)
def test_impossible_doses_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Doses(**wrong)  # type: ignore[arg-type]
