"""Fetching from a stub of the network: only the pinned bytes are ever stored."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from trueline.core.errors import InputError, UnfinishedError
from trueline.data import fetch as fetching
from trueline.data import sources
from trueline.data.fetch import fetch, verify

CONTENT = {"data/plain file.csv": b"a,b\n1,2\n", "data/packed.jsonl": b'{"a": 1}\n' * 9}


@pytest.fixture(autouse=True)
def small_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One set of two files, the second compressed by us."""
    monkeypatch.delenv("TRUELINE_DATA", raising=False)
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path))
    files = {
        stored: sources.SourceFile(
            path=stored,
            source_path=source,
            sha256=hashlib.sha256(CONTENT[source]).hexdigest(),
            size=len(CONTENT[source]),
            format="csv",
            rows=1,
        )
        for stored, source in (("plain.csv", "data/plain file.csv"), ("packed.jsonl.gz", "data/packed.jsonl"))
    }
    pinned = sources.source("gsm8k")
    toy = replace(pinned, name="toy", repo="o/r", commit="c" * 40, files=MappingProxyType(files))
    registry = MappingProxyType({"toy": toy})
    monkeypatch.setattr(sources, "SOURCES", registry)
    monkeypatch.setattr(fetching, "SOURCES", registry)


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def serve(request: httpx.Request) -> httpx.Response:
    prefix = "/o/r/" + "c" * 40 + "/"
    assert request.url.path.startswith(prefix)
    return httpx.Response(200, content=CONTENT[request.url.path.removeprefix(prefix)])


def test_fetch_stores_verifies_and_resumes(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    done = fetch(["toy"], lambda *step: told.append(step), client=client(serve))
    assert (done.downloaded, done.present, done.received) == (2, 0, 8 + 81)
    assert told == [(0, 2, "toy/plain.csv"), (1, 2, "toy/packed.jsonl.gz"), (2, 2, "")]
    folder = tmp_path / "data" / "toy"
    assert (folder / "plain.csv").read_bytes() == b"a,b\n1,2\n"
    assert gzip.decompress((folder / "packed.jsonl.gz").read_bytes()) == CONTENT["data/packed.jsonl"]
    assert verify(["toy"]) == [] and sources.available("toy")

    (folder / "plain.csv").unlink()
    again = fetch(None, client=client(serve))
    assert (again.downloaded, again.present) == (1, 1)


def test_wrong_bytes_are_never_stored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sha256 .* instead of the pinned 8 bytes.*nothing was stored"):
        fetch(["toy"], client=client(lambda request: httpx.Response(200, content=b"<html>")))
    assert not list((tmp_path / "data").rglob("*.*"))


def test_a_busy_server_is_asked_again() -> None:
    waits: list[float] = []
    answers = iter([httpx.Response(503), httpx.Response(429)])
    done = fetch(["toy"], client=client(lambda r: next(answers, None) or serve(r)), pause=waits.append)
    assert done.downloaded == 2
    assert waits == [1.0, 2.0]


def test_a_dead_network_keeps_what_came_before() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "packed" in request.url.path:
            raise httpx.ConnectError("no route")
        return serve(request)

    with pytest.raises(UnfinishedError, match=r"no route.*run the same command again"):
        fetch(["toy"], client=client(answer), pause=lambda seconds: None)
    assert [(p.file, p.what) for p in verify(["toy"])] == [("packed.jsonl.gz", "missing")]


def test_a_missing_page_is_not_asked_again() -> None:
    waits: list[float] = []
    with pytest.raises(UnfinishedError, match="HTTP status 404"):
        fetch(["toy"], client=client(lambda r: httpx.Response(404)), pause=waits.append)
    assert waits == []


def test_verify_finds_altered_and_broken_files(tmp_path: Path) -> None:
    fetch(["toy"], client=client(serve))
    folder = tmp_path / "data" / "toy"
    (folder / "plain.csv").write_bytes(b"a,b\n1,3\n")
    (folder / "packed.jsonl.gz").write_bytes(b"no gzip")
    altered, broken = verify(["toy"])
    assert str(altered).startswith("toy/plain.csv: sha256 ")
    assert "not a whole gzip file" in broken.what
    assert fetch(["toy"], client=client(serve)).downloaded == 2
    assert verify(None) == []


def test_an_unwritable_cache_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written.*TRUELINE_CACHE"):
        fetch(["toy"], client=client(serve))


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(InputError, match="unknown data set 'toi'"):
        fetch(["toi"], client=client(serve))


def test_the_published_files_are_as_pinned(public_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TRUELINE_DATA", str(public_data))
    assert verify(["xstest", "advbench", "bbq", "davidson_hate"]) == []
