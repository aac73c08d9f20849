"""Fetching pinned data and checking it: only files with the pinned bytes ever appear under their names.

A fetch resumes: files that are already here with the right bytes are left alone, every other one is checked,
written to a temporary name and renamed. Bytes come from raw.githubusercontent.com at the pinned commit.
"""

import gzip
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from trueline.core.errors import InputError, UnfinishedError

from .sources import SOURCES, Source, SourceFile, cache_folder, find, source, source_sha256

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int, str], None]
ATTEMPTS = 4
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch did: files downloaded, files that were already whole, bytes received."""

    downloaded: int
    present: int
    received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One file that is not as pinned; ``what`` says how."""

    name: str
    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}/{self.file}: {self.what}"


def fetch(
    names: Sequence[str] | None,
    progress: Progress = lambda done, total, words: None,
    *,
    client: "httpx.Client | None" = None,
    pause: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Bring the named sets (None: all) into the cache folder; ``progress(done, total, words)`` hears of each.

    Raises InputError for an unknown name, for bytes other than the pinned ones and for a folder that cannot
    be written, UnfinishedError when the network fails; what was fetched before stays.
    """
    import httpx

    wanted = _wanted(names)
    downloaded = present = received = 0
    http = client or httpx.Client(timeout=60.0, follow_redirects=True)
    try:
        for done, (where, file) in enumerate(wanted):
            progress(done, len(wanted), f"{where.name}/{file.path}")
            if _whole(where, file):
                present += 1
                continue
            data = _download(http, where, file, pause)
            _store(where, file, data)
            downloaded += 1
            received += len(data)
    finally:
        if client is None:
            http.close()
    progress(len(wanted), len(wanted), "")
    return Fetched(downloaded=downloaded, present=present, received=received)


def verify(
    names: Sequence[str] | None, progress: Progress = lambda done, total, words: None
) -> list[Problem]:
    """Recompute every checksum of the named sets (None: all); an empty list means that all is as pinned."""
    wanted = _wanted(names)
    problems = []
    for done, (where, file) in enumerate(wanted):
        progress(done, len(wanted), f"{where.name}/{file.path}")
        what = _fault(where, file)
        if what:
            problems.append(Problem(name=where.name, file=file.path, what=what))
    progress(len(wanted), len(wanted), "")
    return problems


def _wanted(names: Sequence[str] | None) -> list[tuple[Source, SourceFile]]:
    chosen = SOURCES if names is None else dict.fromkeys(names)
    return [(source(name), file) for name in chosen for file in source(name).files.values()]


def _fault(where: Source, file: SourceFile) -> str | None:
    found = find(where.name, file.path)
    if found is None:
        return "missing"
    try:
        actual = source_sha256(found)
    except InputError as error:
        return str(error)
    return None if actual == file.sha256 else f"sha256 {actual} instead of {file.sha256}"


def _whole(where: Source, file: SourceFile) -> bool:
    return _fault(where, file) is None


def _download(http: "httpx.Client", where: Source, file: SourceFile, pause: Callable[[float], None]) -> bytes:
    import httpx

    url = quote(where.url(file), safe=":/")
    last = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(2.0 ** (attempt - 1))
        try:
            response = http.get(url)
        except httpx.TransportError as error:
            last = f"{type(error).__name__} {error}".strip()
            continue
        if response.status_code == 200:
            return _checked(where, file, url, response.content)
        last = f"HTTP status {response.status_code}"
        if response.status_code not in BUSY:
            break
    raise UnfinishedError(
        f"{url} could not be fetched ({last}); files fetched so far are kept, "
        "run the same command again to go on."
    )


def _checked(where: Source, file: SourceFile, url: str, data: bytes) -> bytes:
    actual = hashlib.sha256(data).hexdigest()
    if actual != file.sha256:
        raise InputError(
            f"{url} gave {len(data)} bytes with sha256 {actual[:12]}… instead of the pinned "
            f"{file.size} bytes with {file.sha256[:12]}…; nothing was stored as {where.name}/{file.path}."
        )
    return data


def _store(where: Source, file: SourceFile, data: bytes) -> None:
    target = cache_folder() / where.name / file.path
    packed = file.path.endswith(".gz") and not file.source_path.endswith(".gz")
    # mtime=0: the stored bytes are the same on every machine and day
    stored = gzip.compress(data, mtime=0) if packed else data
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, stored)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror}); set TRUELINE_CACHE to a folder with room."
        ) from error


def _replace(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
