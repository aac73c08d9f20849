"""Pieces of work that are kept: any words come back, a torn end is dropped, other work is refused."""

import pytest

from trueline.core.errors import InputError
from trueline.treatments.kept_lines import KeptLines

ABOUT = {"seed": 0}


def test_any_words_of_a_model_come_back(tmp_path):
    said = ["one\u2028two", "three\x85four", "five\nsix", "half an emoji \ud83d", "été"]
    lines = KeptLines(tmp_path / "lines.jsonl", ABOUT)
    for number, text in enumerate(said):
        lines.add(number, {"answer": text})
    again = KeptLines(tmp_path / "lines.jsonl", ABOUT)
    assert [again.done[number]["answer"] for number in range(len(said))] == said


def test_a_torn_last_line_is_made_again(tmp_path):
    file = tmp_path / "lines.jsonl"
    lines = KeptLines(file, ABOUT)
    lines.add(0, {"answer": "a"})
    lines.add(1, {"answer": "b"})
    file.write_bytes(file.read_bytes()[:-4])
    again = KeptLines(file, ABOUT)
    assert again.done.keys() == {0}
    again.add(1, {"answer": "b"})
    assert KeptLines(file, ABOUT).done[1]["answer"] == "b"


def test_what_is_no_such_work_is_refused(tmp_path):
    file = tmp_path / "lines.jsonl"
    KeptLines(file, ABOUT)
    with pytest.raises(InputError, match="made with other settings"):
        KeptLines(file, {"seed": 1})
    file.write_text("nonsense\n")
    with pytest.raises(InputError, match="is damaged"):
        KeptLines(file, ABOUT)
