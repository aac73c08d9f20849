from pathlib import Path

import pytest
from toy_study import Parity

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.core.verdicts import Item
from trueline.studies.arms import expand
from trueline.studies.plan import make_plan
from trueline.studies.selection import select
from trueline.studies.spec import parse_spec, read_spec

BASE = {"targets": ["testbed"], "measures": ["mmlu"]}


def test_strengths_are_swept() -> None:
    treatments = ["none", {"name": "dpo", "beta": [0.1, 0.5], "epochs": 2}]
    arms = expand(parse_spec({**BASE, "treatments": treatments}))
    assert [arm.label for arm in arms] == ["none", "dpo beta=0.1", "dpo beta=0.5"]
    assert arms[1].parameters == {"epochs": 2, "beta": 0.1}
    assert {arm.baseline for arm in arms} == {"none"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mesures": ["mmlu"]}, "mesures"),
        ({"measures": []}, "at least 1 item"),
        ({"treatments": ["sft"]}, "lack 'none'"),
        ({"limit": 0}, "greater than or equal to 1"),
        (
            {"primary": ["mmlu.accuracy"]},
            "primary.0: 'mmlu.accuracy' is no mapping with measure, metric, attack, arm",
        ),
    ],
)
def test_bad_fields_are_one_sentence(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_spec({**BASE, **change})
    assert "\n" not in str(caught.value)


def test_unknown_names_give_the_nearest(counter: object) -> None:
    with pytest.raises(InputError, match="did you mean mmlu"):
        make_plan(parse_spec({**BASE, "measures": ["mmluu"]}))
    with pytest.raises(InputError, match="did you mean dpo"):
        make_plan(parse_spec({**BASE, "measures": ["parity"], "treatments": ["none", "dpoo"]}))
    with pytest.raises(InputError, match="'parity' does not take the option 'shots'"):
        make_plan(parse_spec({**BASE, "measures": [{"name": "parity", "shots": 5}]}))


def test_too_many_primaries(counter: object) -> None:
    primary = [{"measure": "parity", "metric": "right"}]
    treatments = ["none", {"name": "self_reminder", "strength": list(range(11))}]
    with pytest.raises(InputError, match="11 hypotheses; at most 10"):
        make_plan(parse_spec({**BASE, "measures": ["parity"], "treatments": treatments, "primary": primary}))


def test_what_items_ask_is_counted_once_for_all_arms(
    counter: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def describe_cost(measure: object, item: Item) -> tuple[int, int]:
        asked.append(item.id)
        return (3, 2)

    monkeypatch.setattr(Parity, "describe_cost", describe_cost)
    treatments = [
        "none",
        {"name": "self_reminder", "strength": ["system", "both"]},
        {"name": "best_of_n", "n": [2], "reward": "given"},
    ]
    plan = make_plan(parse_spec({**BASE, "measures": ["parity"], "treatments": treatments, "seeds": [0, 1]}))
    assert [cell.requests for cell in plan.cells] == 2 * [60, 60, 60, 120]
    assert len(asked) == 2 * 20  # for one request in place of one, and for two


def test_environment_in_study_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("targets: ['${TL_TEST_MODEL}']\nmeasures: [mmlu]\n")
    with pytest.raises(InputError, match="TL_TEST_MODEL"):
        read_spec(file)
    monkeypatch.setenv("TL_TEST_MODEL", "/models/a")
    assert read_spec(file).targets[0].model == "/models/a"
    file.write_text("targets: [a\n")
    with pytest.raises(InputError, match="not valid YAML at line 2"):
        read_spec(file)


def test_selection_is_nested_proportional_and_keeps_controls() -> None:
    groups = ["a"] * 60 + ["b"] * 30 + ["control"] * 5
    items = [Item(id=str(i), prompt=chat("x"), group=g) for i, g in enumerate(groups)]
    small, large = select(items, 9), select(items, 30)
    assert [sum(i.group == g for i in small) for g in ("a", "b", "control")] == [6, 3, 5]
    assert {i.id for i in small} <= {i.id for i in large}
    assert select(items, None) == [i for i in items if i.group != "control"] + items[-5:]
    assert select(items, 9) != select(items, 9, seed=1)
