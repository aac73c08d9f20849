"""Places that cannot be written, disks that fill up, stores that are newer or damaged, Ctrl-C."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .running import done, refused, trueline
from .stub_server import StubServer

pytestmark = pytest.mark.usefixtures("toy_measures")
Pairs = Callable[..., Path]


def measured(model: Path | str, out: Path, count: int = 6) -> tuple[object, ...]:
    study = out.parent / f"{out.name}-{count}.yaml"
    measures = [{"name": "greeting", "count": count}]
    study.write_text(json.dumps({"name": "disk", "targets": [str(model)], "measures": measures}))
    return ("study", "run", study, "--out", out)


def test_a_folder_that_cannot_be_written(
    model: Path, testbed_study: Path, pairs: Pairs, tmp_path: Path
) -> None:
    # Below a regular file nobody can write, not even root.
    blocker = tmp_path / "file"
    blocker.write_text("")
    place = blocker / "inside"
    requests = tmp_path / "requests.txt"
    requests.write_text("Hello\n")
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{measure: arc, metric: accuracy, min: 0}]")
    commands: list[tuple[object, ...]] = [
        ("measure", model, "-m", "greeting", "--out", place),
        ("align", model, "--method", "dpo", "--data", pairs(), "--out", place),
        ("report", testbed_study, "--out", place / "report.html"),
        ("gate", testbed_study, "--policy", policy, "--junit", place / "gate.xml"),
        ("attack", model, "--with", "prefill", "--requests", requests, "--out", place / "a.jsonl"),
        ("testbed", "build", "--out", place),
    ]
    for command in commands:
        assert str(place) in refused(*command), command


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes fails, as on a full disk (Python ignores the signal that comes with it)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_files_that_may_not_grow(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done(*measured(model, out))
    with files_of_at_most(1 << 16):
        answer = trueline(*measured(model, out, 400))
    assert answer.code == 3 and "run the same command again to resume" in answer.sentence
    assert "All whole." in done("study", "verify", out).out
    assert "0 verdicts made, 6 were there already" in done(*measured(model, out)).out
    assert "were there already" in done(*measured(model, out, 400)).out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, model: Path, tmp_path: Path) -> None:
    out = small_disk / "out"
    out.mkdir()
    done(*measured(model, out))
    filler = small_disk / "filler"
    with filler.open("wb") as stream:
        stream.write(b"0" * 20_000)
    answer = trueline(*measured(model, out, 900))
    assert answer.code == 3 and "resume" in answer.sentence
    filler.unlink()
    (out / "report.html").unlink()
    assert "0 verdicts made, 6 were there already" in trueline(*measured(model, out)).out
    assert "All whole." in done("study", "verify", out).out


def test_a_disk_that_is_full_when_the_model_is_saved(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    command = ("align", model, "--method", "dpo", "--data", pairs(), "--out", tmp_path / "out")
    with files_of_at_most(4096):
        assert "again" in refused(*command, code=3)
    assert Path(done(*command).out.splitlines()[-1]).is_dir()


def test_a_store_from_a_newer_version(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done(*measured(model, out))
    database = out / "store.sqlite"

    def schema(number: int) -> None:
        with sqlite3.connect(database) as connection:
            connection.execute(f"UPDATE meta SET value = '{number}' WHERE name = 'schema'")
        connection.close()

    schema(99)
    for command in (
        measured(model, out),
        ("report", out),
        ("study", "verify", out),
        ("compare", out, "a", "b"),
    ):
        assert "newer Trueline (schema 99" in refused(*command)
    schema(1)
    assert "0 verdicts made, 6 were there already" in done(*measured(model, out)).out


def test_a_damaged_store(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done(*measured(model, out))
    database = out / "store.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE verdicts SET content = replace(content, 'polite', 'impolite') WHERE rowid = 2"
        )
    connection.close()
    assert "1 rows do not match their digests" in refused("study", "verify", out, code=3)
    assert "1 verdicts made, 5 were there already" in done(*measured(model, out)).out
    for end in ("-wal", "-shm"):
        Path(f"{database}{end}").unlink(missing_ok=True)
    database.write_bytes(b"not a database" * 1000)
    for command in (measured(model, out), ("report", out), ("study", "verify", out)):
        assert "is not a Trueline store or is damaged" in refused(*command)


def test_an_interrupted_run_is_resumed(server: StubServer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [str(word) for word in measured(server.address, out, 40)]
    # The first answers come (the probe's included); the others wait until the run has been interrupted.
    server.wait_after = 10
    run = subprocess.Popen(
        [sys.executable, "-m", "cli.toys", *command],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background jobs, of which these tests may be one, ignore the signal, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for _ in range(2400):
        if len(server.seen) > 10:
            break
        time.sleep(0.05)
    time.sleep(0.5)  # so that every answer given has been read
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 3
    assert err.splitlines()[-1].startswith("trueline: stopped; ") and "Traceback" not in err
    server.gate.set()
    asked = len(server.seen)
    done(*command)
    # One to probe, and those whose answer was not stored: the nine answers before the interruption are kept.
    assert len(server.seen) - asked == 1 + 40 - 9
