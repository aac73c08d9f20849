"""trueline data audit: the table, the reports, the cleaned file with its log, and what is refused."""

import json

import pytest

from .running import done, refused, trueline

ROWS = [
    {
        "prompt": f"Question {n} about {word}",
        "chosen": f"{word} is number {n}.",
        "rejected": f"No {word}, {n}{' at all' * (n % 2)}.",
    }
    for n, word in enumerate(["ada", "bo", "cy", "dee", "eve", "fay", "gus", "hal", "ida", "jo"])
]
PLANTED = [
    {**ROWS[0]},  # line 11: an exact duplicate
    {
        "prompt": ROWS[1]["prompt"],
        "chosen": ROWS[1]["rejected"],
        "rejected": ROWS[1]["chosen"],
    },  # 12, against 2
    {"prompt": "p", "chosen": "same", "rejected": "same"},  # 13
    {"prompt": "p", "chosen": "", "rejected": "b"},  # 14
    {"prompt": "p", "chosen": "a"},  # 15: a missing side
    {"prompt": "Mail? ", "chosen": "ask ada@analytical.org", "rejected": "no", "score": 3},  # 16
    {"prompt": "p", "chosen": "<|im_start|>user", "rejected": "b"},  # 17
]


@pytest.fixture(autouse=True)
def no_public_data(monkeypatch, tmp_path):
    """Without the measures' data, which the real audit compares with."""
    (tmp_path / "data" / "x").mkdir(parents=True)
    monkeypatch.setenv("TRUELINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "cache"))


def write(folder, rows):
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def jsonl(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_planted_is_found_removed_and_logged(tmp_path):
    path = write(tmp_path, [*ROWS, *PLANTED])
    clean = tmp_path / "clean.jsonl"
    answer = done("data", "audit", path, "--out", tmp_path / "out", "--clean", clean)
    assert "17 rows of pairs" in answer.out and "10 of 17 rows, 7 removed, 1 changed" in answer.out
    log = {(entry["line"], entry["action"], entry["check"]) for entry in jsonl(tmp_path / "clean.log.jsonl")}
    assert log == {
        (2, "removed", "contradictions"),
        (11, "removed", "exact duplicates"),
        (12, "removed", "contradictions"),
        (13, "removed", "identical answers"),
        (14, "removed", "empty answers"),
        (15, "removed", "unusable rows"),
        (16, "changed", "personal data"),
        (16, "changed", "white space at the ends"),
        (17, "removed", "role marks in texts"),
    }
    *kept, changed = jsonl(clean)
    assert kept == [row for n, row in enumerate(ROWS) if n != 1]
    assert changed == {"prompt": "Mail?", "chosen": "ask [e-mail]", "rejected": "no", "score": 3}
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert told["rows"] == 17 and told["kind"] == "pairs"
    grades = {check["check"]: check["grade"] for check in told["checks"]}
    assert grades["exact duplicates"] == "fault" and grades["overlap with measures"] == "clean"
    assert "| 15 | no 'rejected' answer |" in (tmp_path / "out" / "audit.md").read_text()


def test_a_cleaned_file_is_clean(tmp_path):
    clean = tmp_path / "clean.jsonl"
    done("data", "audit", write(tmp_path, [*ROWS, *PLANTED]), "--clean", clean)
    again = done("data", "audit", clean, "--clean", tmp_path / "again.jsonl")
    assert "fault" not in again.out and "10 of 10 rows, 0 removed, 0 changed" in again.out
    assert (tmp_path / "again.jsonl").read_text() == clean.read_text()


def test_the_table_fits_eighty_columns(tmp_path, monkeypatch):
    from rich.console import Console

    from trueline.cli.audit_table import audit_table
    from trueline.studies.auditing import audit_file
    from trueline.studies.progress import Silent

    audit = audit_file(write(tmp_path, [*ROWS, *PLANTED]), progress=Silent())
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    audit_table(audit, console)
    console.file.close()
    assert max(map(len, console.export_text().splitlines())) <= 80


def test_labels_and_demonstrations(tmp_path):
    rows = [{"prompt": f"p{n}", "answer": "yes" if n % 2 else "no", "label": n % 2 == 0} for n in range(6)]
    path = write(tmp_path, [*rows, {**rows[0], "label": False}])
    assert "7 rows of labels" in (answer := done("data", "audit", path)).out
    assert "2 rows are contradicted" in answer.out
    assert "7 rows of demonstrations" in done("data", "audit", path, "--kind", "demonstrations").out


def test_what_cannot_be_audited(tmp_path):
    path = write(tmp_path, ROWS)
    assert "unknown kind 'pair'" in refused("data", "audit", path, "--kind", "pair")
    assert "ends in .jsonl" in refused("data", "audit", path, "--clean", tmp_path / "a.csv")
    assert "would overwrite" in refused("data", "audit", path, "--clean", path)
    assert "name its kind" in refused("data", "audit", path, "--kind", "labels")
    assert "has the fields a, b" in refused("data", "audit", write(tmp_path, [{"a": 1, "b": 2}]))
    assert "it is empty" in refused("data", "audit", write(tmp_path, []))
    assert trueline("data", "audit", tmp_path / "none.jsonl").code == 2
