"""The registry of pinned public data: where each file comes from, at which commit, with which bytes.

``sources.json`` holds, for each set, the repository and commit that the bytes were taken from, the licence,
and its origin: ``canonical`` (the authors' own repository), ``mirror`` (another repository that carries the
set; the upstream is named, its bytes were not compared) or ``derived`` (selected or reformatted by the
carrier). For each file it holds the path in that repository, the sha256 and length of the bytes there, the
format and the number of rows. A file whose name here ends in ``.gz`` was compressed by us; its sha256 is that
of the content.

Files are looked for as ``NAME/FILE`` under the folder in TRUELINE_DATA, then under the cache folder, which is
``data`` in TRUELINE_CACHE or in ``~/.cache/trueline``.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from trueline.core.errors import InputError, unknown_name
from trueline.core.fingerprint import fingerprint

from .rows import Format, source_bytes

Origin = Literal["canonical", "mirror", "derived"]


class MissingDataError(InputError):
    """A pinned file is not on this machine; the message holds the command that fetches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One pinned file. ``size`` is in bytes; ``rows`` is None for a document that is no list of rows."""

    path: str
    source_path: str
    sha256: str
    size: int
    format: Format
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data set, pinned to a commit of the repository that its bytes were taken from."""

    name: str
    repo: str
    commit: str
    licence: str
    about: str
    origin: Origin
    upstream: str
    note: str
    files: Mapping[str, SourceFile]

    def url(self, file: SourceFile) -> str:
        """The path of a file's bytes at the pinned commit, not yet percent-encoded."""
        return f"https://raw.githubusercontent.com/{self.repo}/{self.commit}/{file.source_path}"

    def file(self, name: str) -> SourceFile:
        """The file of this name, with or without the ``.gz`` that we added."""
        found = self.files.get(name) or self.files.get(f"{name}.gz")
        if found is None:
            raise unknown_name(f"file of {self.name}", name, self.files)
        return found


def _source(name: str, entry: dict[str, object]) -> Source:
    files = {
        path: SourceFile(
            path=path,
            source_path=f["source"],
            sha256=f["sha256"],
            size=f["bytes"],
            format=f["format"],
            rows=f.get("rows"),
        )
        for path, f in entry.pop("files").items()  # type: ignore[attr-defined]
    }
    return Source(name=name, files=MappingProxyType(files), **entry)  # type: ignore[arg-type]


def _read_registry() -> Mapping[str, Source]:
    text = resources.files("trueline.data").joinpath("sources.json").read_text(encoding="utf-8")
    return MappingProxyType({name: _source(name, entry) for name, entry in json.loads(text).items()})


SOURCES: Mapping[str, Source] = _read_registry()


def source(name: str) -> Source:
    """One data set; an unknown name raises InputError with the nearest names."""
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES)
    return SOURCES[name]


def cache_folder() -> Path:
    """Where fetched data is kept."""
    root = os.environ.get("TRUELINE_CACHE")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "trueline") / "data"


def data_folders() -> tuple[Path, ...]:
    """The folders to look in, in order; raises InputError when TRUELINE_DATA names no folder."""
    given = os.environ.get("TRUELINE_DATA")
    if not given:
        return (cache_folder(),)
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise InputError(f"TRUELINE_DATA names {given!r}, which is not a folder; unset it or name one.")
    return folder, cache_folder()


def find(name: str, file: str) -> Path | None:
    """Where a pinned file is on this machine, or None."""
    relative = Path(name) / source(name).file(file).path
    return next((p for folder in data_folders() if (p := folder / relative).is_file()), None)


def path(name: str, file: str) -> Path:
    """Where a pinned file is on this machine; raises MissingDataError with the command that fetches it."""
    found = find(name, file)
    if found is None:
        raise MissingDataError(
            f"{name}/{file} is not in {' or '.join(map(str, data_folders()))}; "
            f"fetch it with: trueline data fetch {name}"
        )
    return found


def available(name: str) -> bool:
    """Whether every file of the set is on this machine (their bytes are not checked)."""
    return all(find(name, file) is not None for file in source(name).files)


def source_sha256(file: Path) -> str:
    """sha256 of a file's content (decompressed), remembered while its size and modification time stay."""
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, modified_ns: int) -> str:
    return hashlib.sha256(source_bytes(file)).hexdigest()


def digest(name: str, *files: str) -> str:
    """One digest of the bytes on this machine, for provenance: of the named files, or of the whole set."""
    chosen = [source(name).file(file).path for file in files] or sorted(source(name).files)
    return fingerprint({file: source_sha256(path(name, file)) for file in chosen})
