"""Ranked lists from a file."""

import json

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.data.preferences import PreferencePair
from trueline.data.rankings import as_rankings, load_rankings, ranks_of, read_rankings

GOOD = {"prompt": "Who?", "answers": ["I", "You", "We"]}


def written(folder, *rows):
    file = folder / "lists.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_ranks_and_scores_are_read(tmp_path):
    rows = read_rankings(
        written(tmp_path, {**GOOD, "ranks": [3, 1, 2], "from": "me"}, {**GOOD, "scores": [0.5, 2, 0.5]})
    )
    assert rows[0].prompt == chat("Who?") and rows[0].answers == ("I", "You", "We")
    assert rows[0].ranks == (3, 1, 2) and rows[0].scores is None and rows[0].meta == {"from": "me"}
    assert rows[1].ranks == (2, 1, 2) and rows[1].scores == (0.5, 2.0, 0.5)


def test_messages_are_read_too(tmp_path):
    row = {
        "prompt": [{"role": "user", "content": "Who?"}],
        "answers": [[{"role": "assistant", "content": "I"}], {"role": "assistant", "content": "You"}],
        "ranks": [1, 2],
    }
    assert read_rankings(written(tmp_path, row))[0].answers == ("I", "You")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ranks": [1, 2]}, "'ranks' is not a list of 3 numbers"),
        ({"ranks": [1, 2, "x"]}, "'ranks' is not a list of 3 numbers"),
        ({"ranks": [0, 1, 2]}, "'ranks' are not whole numbers from 1"),
        ({"ranks": [2, 2, 2]}, "all answers have the same rank"),
        ({"scores": [1, 2, float("nan")]}, "'scores' is not a list of 3 numbers"),
        ({}, "neither ranks nor scores"),
        ({"ranks": [1, 2, 3], "scores": [1, 2, 3]}, "ranks and scores: give one of the two"),
        ({"answers": ["I"], "ranks": [1]}, "not a list of at least two"),
        ({"answers": ["I", "I ", "We"], "ranks": [1, 2, 3]}, "two answers are identical"),
        ({"answers": ["I", " ", "We"], "ranks": [1, 2, 3]}, "an answer is empty"),
        ({"prompt": "", "ranks": [1, 2, 3]}, "no 'prompt'"),
    ],
)
def test_a_bad_list_is_named_or_dropped(tmp_path, change, reason):
    file = written(tmp_path, {**GOOD, "ranks": [1, 2, 3]}, {**GOOD, **change})
    with pytest.raises(InputError, match=rf"line 2: .*{reason}"):
        read_rankings(file)
    loaded = load_rankings(file, drop_bad=True)
    assert len(loaded.rows) == 1 and sum(loaded.dropped.values()) == 1


def test_pairs_are_lists_of_two():
    pair = PreferencePair(prompt=chat("Who?"), chosen="I", rejected="You")
    (ranked,) = as_rankings([pair])
    assert ranked.answers == ("I", "You") and ranked.ranks == (1, 2)


def test_ranks_of_scores():
    assert ranks_of([0.1, 0.9, 0.9, -1]) == (3, 1, 1, 4)
