"""Content keys: short, stable digests of JSON values and files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

DIGEST_LENGTH = 32  # hex digits: 128 bits, no accidental collision in any study


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {"__type__": type(value).__name__, **_fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    if callable(getattr(value, "fingerprint", None)):
        return value.fingerprint()
    raise TypeError(f"cannot fingerprint a {type(value).__name__}: {value!r}")


def _fields(value: Any) -> dict[str, Any]:
    """As ``dataclasses.asdict``, without its copies of every leaf: an item costs a tenth."""
    return {field.name: _inner(getattr(value, field.name)) for field in fields(value)}


def _inner(value: Any) -> Any:
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [_inner(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _inner(entry) for key, entry in value.items()}
    return _fields(value) if is_dataclass(value) and not isinstance(value, type) else value


# Made once: json.dumps makes an encoder a call, which costs more than a row of a store.
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
).encode


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, full float precision, no NaN."""
    return _canonical(value)


def fingerprint(value: Any) -> str:
    """A digest of a JSON-like value (dataclasses, mappings, sets, paths and things with a fingerprint included)."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGEST_LENGTH]


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, remembered while its size and modification time stay."""
    stat = path.stat()
    return _file_digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


@cache
def _file_digest(path: Path, size: int, modified_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
