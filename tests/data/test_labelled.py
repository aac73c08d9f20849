"""Labelled texts: documents, answers, bare requests, and every fault with its line."""

import json

import pytest

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.data.labelled import LabelledText, load_labelled, read_labelled


def jsonl(tmp_path, *rows):
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


GOOD = (
    {"text": "a secret", "label": "forget"},
    {"prompt": "q", "answer": "yes", "label": "retain", "from": 3},
)


def test_documents_answers_and_requests(tmp_path):
    rows = read_labelled(jsonl(tmp_path, *GOOD, {"prompt": "how?", "label": "harmful"}))
    assert rows == (
        LabelledText(prompt="", answer="a secret", wanted=False),
        LabelledText(prompt=chat("q"), answer="yes", wanted=True, meta={"from": 3}),
        LabelledText(prompt=chat("how?"), answer="", wanted=False),
    )


@pytest.mark.parametrize(
    ("label", "wanted"),
    [("harmless", True), (1, True), (True, True), ("Retain", True), (0, False), (False, False)],
)
def test_labels(tmp_path, label, wanted):
    rows = read_labelled(jsonl(tmp_path, *GOOD, {"text": "x", "label": label}))
    assert rows[2].wanted is wanted


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, "line 3: no 'label'"),
        ({"text": "x", "label": "bad"}, "line 3: the label 'bad' is none of true"),
        ({"label": "forget"}, "line 3: no 'text' and no 'prompt' or 'messages'"),
        ({"text": " ", "label": "forget"}, "line 3: no 'text' and no 'prompt' or 'messages'"),
        ({"prompt": [{"role": "assistant", "content": "x"}], "label": 0}, "does not end with a user message"),
    ],
)
def test_a_bad_row_names_its_line(tmp_path, row, message):
    file = jsonl(tmp_path, *GOOD, row)
    with pytest.raises(InputError, match=message):
        load_labelled(file)
    assert len(load_labelled(file, drop_bad=True).rows) == 2


def test_one_side_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="rows labelled retain or harmless are needed too"):
        load_labelled(jsonl(tmp_path, GOOD[0]))
