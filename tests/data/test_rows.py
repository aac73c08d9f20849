"""Reading rows: the line of every fault is named."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.data.rows import guess_format, read_rows


def _file(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_row_knows_its_line_past_quoted_newlines(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", 'x,y\n"1\n1",2\n\n3,4\n')
    assert read_rows(path, "csv") == [(2, {"x": "1\n1", "y": "2"}), (5, {"x": "3", "y": "4"})]


def test_byte_order_mark_and_gzip_are_read_through(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv.gz", gzip.compress(b"\xef\xbb\xbfx\n1\n"))
    assert read_rows(path, guess_format(path)) == [(2, {"x": "1"})]


def test_a_file_without_header_loses_no_item(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", '"one, two",\nthree,\n')
    assert read_rows(path, "csv-bare") == [(1, {"text": "one, two"}), (2, {"text": "three"})]


def test_array_rows_know_their_lines(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.json", '[\n {"a":\n  1},\n\n {"a": 2}\n]\n')
    assert read_rows(path, "json") == [(2, {"a": 1}), (5, {"a": 2})]
    assert read_rows(_file(tmp_path, "b.json", " [ ] "), "json") == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "x,y\n1,2\n3\n", "line 3: 1 cells where 2 are expected"),
        ("a.csv", 'x,y\n1,2\n3,"4\n', "line 3: malformed CSV"),
        ("a.jsonl", '{"a": 1}\n\n{"a": \n', "line 3: malformed or truncated JSON"),
        ("a.jsonl", '{"a": 1}\n3\n', "line 2: a row must be a JSON object or a text, not 3"),
        ("a.json", '[{"a": 1},\n{"a": 2', "line 2: malformed or truncated JSON"),
        ("a.json", '[{"a": 1}]\n{"a": 2}', "line 2: text after the end of the JSON array"),
        ("a.json", '[{"a": 1}\n', "line 2: the JSON array is cut off"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "line 2: not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], "not a whole gzip file"),
        ("a.parquet", "", "allowed are .jsonl, .json and .csv"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    path = _file(tmp_path, name, content)
    with pytest.raises(InputError) as error:
        read_rows(path, guess_format(path))
    assert says in str(error.value)
    assert name in str(error.value)


def test_an_absent_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / "absent.csv", "csv")


ROWS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3), max_size=6)


@given(rows=ROWS, indent=st.booleans())
def test_arrays_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], indent: bool
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.json"
    path.write_text(json.dumps(rows, indent=2 if indent else None), encoding="utf-8")
    assert [row for _, row in read_rows(path, "json")] == rows
