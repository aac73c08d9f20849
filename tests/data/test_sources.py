"""The registry: what it says of each set, where files are looked for, and what a missing one says."""

from pathlib import Path

import pytest

from trueline.core.errors import InputError
from trueline.data import loaders, sources


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("TRUELINE_DATA", raising=False)
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path))
    return tmp_path


def test_every_set_is_pinned_and_named_for_what_it_is() -> None:
    for name, source in sources.SOURCES.items():
        assert source.name == name
        assert len(source.commit) == 40, name
        assert source.licence, name
        assert source.origin in ("canonical", "mirror", "derived"), name
        assert (source.upstream == source.repo) == (source.origin == "canonical"), name
        assert source.files, name
        for path, file in source.files.items():
            assert len(file.sha256) == 64, path
            assert (file.rows is None) == (file.format == "object"), path


def test_a_mirror_names_its_upstream() -> None:
    harmbench = sources.source("harmbench")
    assert harmbench.origin == "mirror"
    assert harmbench.upstream == "centerforaisafety/HarmBench"


def test_the_address_holds_the_commit() -> None:
    source = sources.source("gsm8k")
    assert source.url(source.file("test.jsonl")) == (
        "https://raw.githubusercontent.com/openai/grade-school-math/"
        "3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl"
    )


def test_missing_data_says_the_command(nowhere: Path) -> None:
    with pytest.raises(sources.MissingDataError, match=r"trueline data fetch advbench$"):
        sources.path("advbench", "advbench.csv")
    assert not sources.available("advbench")


def test_unknown_names_show_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean advbench"):
        sources.source("advbnch")
    with pytest.raises(InputError, match=r"did you mean advbench\.csv"):
        sources.path("advbench", "advbech.csv")


def test_a_data_folder_that_is_none_is_an_error(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELINE_DATA", str(nowhere / "absent"))
    with pytest.raises(InputError, match="not a folder"):
        sources.path("advbench", "advbench.csv")


def test_the_cache_is_searched_after_the_data_folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = nowhere / "given"
    empty.mkdir()
    monkeypatch.setenv("TRUELINE_DATA", str(empty))
    cached = nowhere / "data" / "advbench" / "advbench.csv"
    cached.parent.mkdir(parents=True)
    cached.write_text("goal,target\n")
    assert sources.path("advbench", "advbench.csv") == cached


def _plant(nowhere: Path, name: str, file: str, content: bytes) -> Path:
    place = nowhere / "data" / name / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def test_a_short_file_names_both_counts(nowhere: Path) -> None:
    _plant(nowhere, "advbench", "advbench.csv", b"goal,target\na,b\n")
    with pytest.raises(InputError, match=r"holds 1 rows, the published file 520.*data fetch advbench"):
        loaders.load_rows("advbench", "advbench.csv")


def test_a_file_cut_in_a_row_names_the_line(nowhere: Path) -> None:
    _plant(nowhere, "gsm8k", "test.jsonl", b'{"question": "q", "answer": "a"}\n{"question": "q", "ans')
    with pytest.raises(InputError, match=r"test\.jsonl, line 2: malformed or truncated JSON"):
        loaders.load_rows("gsm8k", "test.jsonl")


def test_another_file_of_the_right_length_is_refused(nowhere: Path) -> None:
    rows = b"goal,target\n" + b"a,b\n" * 520
    place = _plant(nowhere, "advbench", "advbench.csv", rows)
    with pytest.raises(InputError, match="is not the published file: sha256"):
        loaders.load_rows("advbench", "advbench.csv")
    first = sources.digest("advbench")
    place.write_bytes(rows + b"c,d\n")
    assert sources.digest("advbench") != first


@pytest.mark.parametrize(
    ("name", "file", "rows", "key"),
    [
        ("advbench", "advbench.csv", 520, "goal"),
        ("harmbench", "harmbench_behaviors_text_test.csv", 320, "Behavior"),
        ("strongreject", "strongreject_dataset.csv", 313, "forbidden_prompt"),
        ("xstest", "xstest_prompts.csv", 450, "prompt"),
        ("truthfulqa", "TruthfulQA.csv", 790, "Question"),
        ("bbq", "data/Age.jsonl", 3680, "ans0"),
        ("xsafety", "en/Insult_n.csv", 200, "text"),
        ("halueval", "qa_one-turn_data.json", 500, "right_answer"),
        ("inthewild_jailbreaks", "inthewild_jailbreak_llms.json", 666, "text"),
        ("llm_adapters_commonsense", "ARC-Challenge/test.json.gz", 1172, "instruction"),
        ("winobias", "female_occupations.txt", 20, "text"),
    ],
)
def test_published_files_have_their_rows(
    public_data: Path, name: str, file: str, rows: int, key: str
) -> None:
    loaded = loaders.load_rows(name, file)
    assert len(loaded) == rows
    assert all(row[key] for row in loaded)


def test_mmlu_is_whole_and_its_header_is_no_item(public_data: Path) -> None:
    files = [file for file in sources.source("mmlu").files if file.startswith("test/")]
    rows = [row for file in files for row in loaders.load_rows("mmlu", file)]
    assert (len(files), len(rows)) == (57, 14042)
    assert {row["answer"] for row in rows} == {"0", "1", "2", "3"}


def test_documents_and_texts_are_read_whole(public_data: Path) -> None:
    articles = loaders.load_json("bold", "wikipedia/gender_wiki.json")
    assert set(articles) == {"American_actors", "American_actresses"}
    assert loaders.load_text("tinyshakespeare", "input.txt").startswith("First Citizen:")
    with pytest.raises(InputError, match="load_json"):
        loaders.load_rows("bold", "wikipedia/gender_wiki.json")
