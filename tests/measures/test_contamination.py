"""Items of measures in a training file: what counts as found, in which files, and what cannot be searched."""

import json

import pytest

from measures.conftest import real_data  # noqa: F401
from trueline.core.errors import InputError
from trueline.data.audit.contamination import SearchedFile
from trueline.data.audit.overlap import WORDING
from trueline.studies import contamination as module
from trueline.studies.contamination import asked_texts, contamination

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
SHORT = "who wrote the very first book"


class TestSearching:
    def test_thirteen_words_in_a_row(self):
        file = SearchedFile(["nothing", f"Well: {LONG.upper()}!", LONG])
        assert file.find([[LONG], ["alpha " + LONG], ["x " * 13 + "y"]]) == {0: 1, 1: 1}

    def test_a_short_item_must_stand_there_whole(self):
        file = SearchedFile([f"Tell me, {SHORT}?", "who wrote the very first"])
        assert file.find([[SHORT], ["who wrote the very first page"], ["first book"]]) == {0: 0}
        assert file.searchable([[SHORT], ["first book"]]) == 1

    def test_any_text_of_an_item_will_do(self):
        file = SearchedFile([f"Tell me, {SHORT}?"])
        asked = [f"{SHORT} A. the first writer B. another", SHORT]
        assert file.find([asked]) == {0: 0} and file.find([asked[:1]]) == {}

    def test_a_measures_own_wording_is_no_leak(self):
        wording = "answer this question of ours in one short sentence and say nothing else please"
        items = [[f"{wording} {n}", wording] for n in range(WORDING + 1)]
        file = SearchedFile([wording])
        assert file.find(items) == {} and len(file.find(items[:WORDING])) == WORDING

    def test_rows_are_not_joined(self):
        first, second = LONG.split(" seven ")
        assert SearchedFile([first, "seven " + second]).find([[LONG]]) == {}

    def test_nothing_in_nothing(self):
        assert SearchedFile(["short"]).find([[LONG]]) == {} and SearchedFile([LONG]).find([]) == {}


@pytest.fixture
def one_question(real_data):  # noqa: F811
    (first, *_) = module.make("measure", "xstest", {}).items()
    return asked_texts(first)[0]


class TestFiles:
    def test_any_text_of_a_row_counts(self, tmp_path, one_question):
        path = tmp_path / "train.jsonl"
        rows = [{"text": "a"}, {"messages": [{"role": "user", "content": f"Hi. {one_question}"}], "n": 3}]
        path.write_text("\n".join(map(json.dumps, rows)))
        (found,) = contamination(path, ["xstest"])
        assert list(found.rows.values()) == [2] and list(found.texts.values()) == [one_question]
        assert found.items == 450 and found.share == pytest.approx(1 / found.searchable)

    def test_plain_text(self, tmp_path, one_question):
        path = tmp_path / "train.txt"
        path.write_text(f"a\n\n{one_question}\n")
        (found,) = contamination(path, ["xstest"])
        assert list(found.rows.values()) == [3]

    def test_what_cannot_be_searched_is_said(self, tmp_path, real_data):  # noqa: F811
        path = tmp_path / "train.txt"
        path.write_text("some text\n")
        with pytest.raises(InputError, match="needs your own list"):
            contamination(path, ["canary_exposure"])
        with pytest.raises(InputError, match="unknown measure"):
            contamination(path, ["nothing"])
        (tmp_path / "empty.txt").write_text("\n")
        with pytest.raises(InputError, match="holds no text"):
            contamination(tmp_path / "empty.txt", ["xstest"])


def test_a_document_without_a_question_is_its_first_text():
    from trueline.core.verdicts import Item

    assert asked_texts(Item(id="x", prompt="", options=(" the text ", "other"))) == ["the text"]


def test_lines_count_by_themselves_without_label_and_options():
    from trueline.core.messages import chat
    from trueline.core.verdicts import Item

    asked = "Question: Who was it?\nA. Ada\n(B) Bo\nAnswer with one letter."
    assert asked_texts(Item(id="x", prompt=chat(asked))) == [asked, "Who was it?", "Answer with one letter."]
