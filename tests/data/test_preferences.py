"""Preference files: every form that is read, and every fault with its line."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import assistant, chat, system
from trueline.data.labelled import load_labelled
from trueline.data.preferences import (
    as_demonstrations,
    load_demonstrations,
    load_preferences,
    read_demonstrations,
    read_preferences,
)
from trueline.data.rankings import load_rankings
from trueline.data.sources import path

GOOD = {"prompt": "q", "chosen": "yes", "rejected": "no"}


def _jsonl(tmp_path: Path, *rows: Any) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        {**GOOD, "prompt": [{"role": "user", "content": "q"}]},
        {**GOOD, "chosen": [{"role": "assistant", "content": "yes"}]},
        {**GOOD, "chosen": {"role": "assistant", "content": "yes"}},
        {**GOOD, "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}]},
        {
            "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "no"}],
        },
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "yes"},
            "rejected": {"from": "gpt", "value": "no"},
        },
    ],
)
def test_every_form_is_the_same_pair(tmp_path: Path, row: dict[str, Any]) -> None:
    (pair,) = read_preferences(_jsonl(tmp_path, row))
    assert (pair.prompt, pair.chosen, pair.rejected, pair.meta) == (chat("q"), "yes", "no", {})


def test_earlier_turns_and_other_fields_are_kept(tmp_path: Path) -> None:
    prompt = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    (pair,) = read_preferences(_jsonl(tmp_path, {**GOOD, "prompt": prompt, "margin": 2}))
    assert pair.prompt == chat(system("s"), "a", assistant("b"), "c")
    assert pair.meta == {"margin": 2}
    (nested,) = read_preferences(_jsonl(tmp_path, {**GOOD, "meta": {"margin": 2}}))
    assert nested.meta == pair.meta
    (both,) = read_preferences(_jsonl(tmp_path, {**GOOD, "meta": {"margin": 2, "a": 1}, "margin": 3}))
    assert both.meta == {"margin": 3, "a": 1}


def test_csv_and_json_arrays_are_read(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(GOOD))
        writer.writeheader()
        writer.writerow({**GOOD, "chosen": "yes,\nindeed"})
    assert read_preferences(table)[0].chosen == "yes,\nindeed"
    array = tmp_path / "pairs.json"
    array.write_text(json.dumps([GOOD, GOOD]))
    assert len(read_preferences(array)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rejected": None}, "no 'rejected' answer"),
        ({"chosen": " \n"}, "the 'chosen' answer is empty"),
        ({"rejected": "yes "}, "the two answers are identical"),
        ({"prompt": " "}, "the prompt is empty"),
        ({"prompt": None}, "no 'prompt'"),
        ({"prompt": 3}, "neither a text nor a list of messages"),
        ({"prompt": [{"role": "tool", "content": "q"}]}, "unknown role 'tool'"),
        ({"prompt": [{"role": "user", "content": None}]}, "content is not a text"),
        ({"prompt": [{"role": "assistant", "content": "q"}]}, "does not end with a user message"),
        ({"chosen": [{"role": "user", "content": "yes"}]}, "one assistant message"),
    ],
)
def test_a_bad_row_is_named_counted_and_can_be_dropped(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    bad = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    file = _jsonl(tmp_path, GOOD, bad, GOOD, bad)
    with pytest.raises(InputError) as error:
        load_preferences(file)
    assert "pairs.jsonl, line 2: " in str(error.value)
    assert reason in str(error.value)
    assert "2 of 4 rows" in str(error.value)

    loaded = load_preferences(file, drop_bad=True)
    assert len(loaded.rows) == 2
    assert list(loaded.dropped.values()) == [2]


def test_a_file_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is empty"):
        load_preferences(_jsonl(tmp_path))
    with pytest.raises(InputError, match="none of its 1 rows can be used"):
        load_preferences(_jsonl(tmp_path, {"prompt": "q"}), drop_bad=True)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "answer": "a"},
        {"prompt": "q", "completion": "a"},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    ],
)
def test_every_form_is_the_same_demonstration(tmp_path: Path, row: dict[str, Any]) -> None:
    (shown,) = read_demonstrations(_jsonl(tmp_path, row))
    assert (shown.prompt, shown.answer) == (chat("q"), "a")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q"}, "no 'prompt' with one of 'answer'"),
        ({"prompt": "q", "answer": ""}, "the answer is empty"),
        ({"messages": [{"role": "user", "content": "q"}]}, "the conversation does not end"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "the prompt is empty"),
    ],
)
def test_bad_demonstrations_are_named(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=f"line 1: {reason}"):
        load_demonstrations(_jsonl(tmp_path, row))


def test_an_unwanted_answer_is_no_demonstration(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "answer": "a", "label": label} for label in (True, "harmless", False, "forget")]
    with pytest.raises(InputError, match=r"line 3: .* labelled False, so it is no example .*2 of 4 rows"):
        load_demonstrations(_jsonl(tmp_path, *rows))
    assert len(read_demonstrations(_jsonl(tmp_path, *rows), drop_bad=True)) == 2


ONE_OF_EACH = {
    "preference pairs": {"prompt": "q", "chosen": "a", "rejected": "b"},
    "demonstrations": {"prompt": "q", "answer": "a"},
    "labelled texts": {"prompt": "q", "answer": "a", "label": False},
    "ranked lists": {"prompt": "q", "answers": ["a", "b"], "ranks": [1, 2]},
}
READERS = {
    "preference pairs": load_preferences,
    "demonstrations": load_demonstrations,
    "labelled texts": load_labelled,
    "ranked lists": load_rankings,
}


@pytest.mark.parametrize(("given", "wanted"), [(a, b) for a in ONE_OF_EACH for b in READERS if a != b])
def test_a_file_of_another_kind_is_called_so(tmp_path: Path, given: str, wanted: str) -> None:
    file = _jsonl(tmp_path, ONE_OF_EACH[given])
    for drop_bad in (False, True):
        with pytest.raises(InputError, match=f"{wanted} are needed, .*: they look like {given}.$"):
            READERS[wanted](file, drop_bad=drop_bad)


def test_chosen_answers_become_demonstrations(tmp_path: Path) -> None:
    (shown,) = as_demonstrations(read_preferences(_jsonl(tmp_path, GOOD)))
    assert (shown.prompt, shown.answer) == (chat("q"), "yes")


def test_the_real_slice_has_six_bad_pairs(public_data: Path) -> None:
    file = path("ultrafeedback_slice", "train_clean.jsonl")
    with pytest.raises(InputError, match=r"line 307: the two answers are identical \(6 of 1000 rows"):
        load_preferences(file)
    loaded = load_preferences(file, drop_bad=True)
    assert len(loaded.rows) == 994
    assert sum(loaded.dropped.values()) == 6
    assert loaded.dropped["the two answers are identical"] == 4


def test_real_conversations_are_read(public_data: Path) -> None:
    pairs = read_preferences(path("llamafactory_demo", "dpo_en_demo.json"))
    assert len(pairs) == 300
    assert sum(pair.prompt[0].role == "system" for pair in pairs) == 80
