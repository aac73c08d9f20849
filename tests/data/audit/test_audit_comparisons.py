"""Judged comparisons under other names are read as the pairs that they are."""

import json

import pytest

from trueline.core.errors import InputError
from trueline.data.audit.reading import read_file

JUDGE = "###Task Description:\nJudge.\n\n###The instruction to evaluate:\n{}\n\n###Response to evaluate:\n{}"
RUBRIC = "\n\n###Score Rubrics:\n[Is it kind?]\n\n###Feedback: "


def judged(prompt, response):
    return JUDGE.format(prompt, response) + RUBRIC


def read(folder, rows):
    path = folder / "judged.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_file(path)


def test_numbered_responses_with_a_label(tmp_path):
    both = {"prompt": "Hi", "response 1": "Yo", "response 2": "Hello!", "scenario": "chitchat"}
    file = read(tmp_path, [{**both, "label": label} for label in (0, 1, 2)])
    assert file.kind == "pairs"
    assert [row.answers for row in file.rows] == [("Yo", "Hello!"), ("Hello!", "Yo")]
    assert file.unusable == {3: "no 'chosen' answer"}  # a tie prefers neither
    assert file.raw[2] == {"scenario": "chitchat", "prompt": "Hi", "chosen": "Hello!", "rejected": "Yo"}


def test_a_judges_prompts_are_taken_apart(tmp_path):
    text = "Kind.\n\n###Really:\nvery"
    rows = [
        {
            "source": "helpful",
            "chosen_instruction": judged("Hi", text),
            "rejected_instruction": judged("Hi", "No"),
        },
        {
            "source": "helpful",
            "chosen_instruction": judged("Hi", "a"),
            "rejected_instruction": judged("Ho", "b"),
        },
    ]
    file = read(tmp_path, rows)
    assert [(row.prompt, row.answers) for row in file.rows] == [("Hi", (text, "No"))]
    assert list(file.unusable) == [2]


def test_other_rows_are_left_as_they_are(tmp_path):
    with pytest.raises(InputError, match="has the fields label, response 1"):
        read(tmp_path, [{"response 1": "a", "label": 1}])


def test_a_ranked_list_is_the_pair_of_its_best_and_worst(tmp_path):
    rows = [
        {"prompt": "Hi", "answers": ["a", "b", "c"], "ranks": [2, 1, 3]},
        {"prompt": "Hi", "answers": ["a", "b", "c"], "scores": [0.5, -1.0, 2.0]},
        {"prompt": "Hi", "answers": ["a", "b", "c"], "ranks": [1, 2]},
    ]
    file = read(tmp_path, rows)
    assert [row.answers for row in file.rows] == [("b", "c"), ("c", "b")]
    assert list(file.unusable) == [3] and file.raw[1] == rows[0]
