"""The store: append-only rows keyed by content, on SQLite or any SQLAlchemy URL.

A *response* is keyed by (target fingerprint, request); a *verdict* by (measure, item, target, attack, seed).
Each row carries a digest of its content: a row that was altered is treated as absent, so a study runs it
again, and ``verify`` names it. Writes are gathered and committed together; a killed process loses at most
what was not yet flushed.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from trueline.core.errors import InputError, UnfinishedError
from trueline.core.fingerprint import canonical, fingerprint
from trueline.core.verdicts import Verdict

SCHEMA_VERSION = 2  # 1: responses, verdicts, meta; 2: labels
FLUSH_ROWS = 400
FLUSH_SECONDS = 1.0

_metadata = sa.MetaData()
_meta = sa.Table(
    "meta",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_responses = sa.Table(
    "responses",
    _metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("target", sa.String(32), nullable=False, index=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
_verdicts = sa.Table(
    "verdicts",
    _metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("cell", sa.String(32), nullable=False, index=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
_labels = sa.Table(
    "labels",
    _metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("cell", sa.String(32), nullable=False, index=True),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
# What a store of the version before lacks; written in order when it is opened for writing.
MIGRATIONS: Mapping[int, sa.Table] = {2: _labels}


class StoreFullError(UnfinishedError):
    """The disk takes no more rows."""


@dataclass(frozen=True, kw_only=True)
class StoredVerdict:
    """A verdict with the keys of the responses it rests on."""

    verdict: Verdict
    responses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Requests made, prompt tokens read and tokens generated."""

    requests: int = 0
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class StoreReport:
    """What ``verify`` found: row counts and the keys of rows whose content does not match their digest."""

    responses: int
    verdicts: int
    corrupt: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is corrupt and every verdict finds its responses."""
        return not self.corrupt and not self.dangling


def verdict_row(verdict: Verdict, responses: Iterable[str]) -> str:
    """Canonical JSON of a verdict and its response keys."""
    return canonical(
        {
            "item": verdict.item,
            "values": {k: float(v) for k, v in verdict.values.items()},
            "reason": verdict.reason,
            "cluster": verdict.cluster,
            "group": verdict.group,
            "note": verdict.note,
            "responses": list(responses),
        }
    )


def _stored_verdict(content: str) -> StoredVerdict:
    row = json.loads(content)
    responses = tuple(row.pop("responses"))
    return StoredVerdict(verdict=Verdict(**row), responses=responses)


class Store:
    """Open a store; ``url`` is a folder (SQLite file inside) or a SQLAlchemy URL."""

    def __init__(self, url: str | Path, *, read_only: bool = False) -> None:
        text = str(url)
        if "://" not in text:
            folder = Path(text)
            if not read_only:
                make_folder(folder)
            text = f"sqlite:///{folder / 'store.sqlite'}"
        self._engine = sa.create_engine(text)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        self._pending: dict[sa.Table, dict[str, dict[str, Any]]] = {_responses: {}, _verdicts: {}}
        self._flushed = monotonic()
        self._full: str | None = None
        with self._errors("open"):
            if not read_only:
                self._create_tables()
            self._check_version(read_only)

    def _create_tables(self) -> None:
        # IF NOT EXISTS rather than create_all's look-then-create: two processes may open one store at once.
        with self._engine.begin() as connection:
            for table in _metadata.sorted_tables:
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))

    def _check_version(self, read_only: bool) -> None:
        with self._engine.begin() as connection:
            found = connection.execute(sa.select(_meta.c.value).where(_meta.c.name == "schema")).scalar()
            if found is None and not read_only:
                self._set_version(connection, SCHEMA_VERSION)
            elif found is not None and int(found) > SCHEMA_VERSION:
                raise InputError(
                    f"the store was written by a newer Trueline (schema {found}; this one reads up to "
                    f"{SCHEMA_VERSION}): upgrade with pip install -U trueline."
                )
            elif found is not None and not read_only:
                for version in range(int(found) + 1, SCHEMA_VERSION + 1):
                    create = sa.schema.CreateTable(MIGRATIONS[version], if_not_exists=True)
                    connection.execute(create)
                    self._set_version(connection, version)
            self._version = SCHEMA_VERSION if found is None or not read_only else int(found)

    def _set_version(self, connection: sa.Connection, version: int) -> None:
        self._insert(connection, _meta, [{"name": "schema", "value": str(version)}])

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as error:
            reason = str(error.orig)
            if "full" in reason or "I/O" in reason:
                raise StoreFullError(
                    f"cannot {verb} the store: {reason}; what was stored before is whole: free some space and "
                    "run the same command again to resume."
                ) from error
            raise InputError(f"cannot {verb} the store at {self._engine.url}: {reason}.") from error
        except sa.exc.DatabaseError as error:
            raise InputError(
                f"the store at {self._engine.url} is not a Trueline store or is damaged: {error.orig}; "
                "restore it from a copy, or choose another --out folder."
            ) from error

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        # A key is written again only where the stored row was corrupt, so the new content replaces it.
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        statement: Any = insert(table)
        (key,) = (column.name for column in table.primary_key)
        changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name != key}
        connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed), rows)

    # -- writing ---------------------------------------------------------------------------------------------

    def add_response(self, target: str, request: str, result: str) -> str:
        """Queue a response row (JSON texts), flushed with others; returns its key."""
        key = response_key(target, request)
        digest = fingerprint([target, request, result])
        self._add(
            _responses,
            {
                "key": key,
                "target": target,
                "request": request,
                "result": result,
                "digest": digest,
                "created": time(),
            },
        )
        return key

    def add_verdict(self, cell: str, identity: str, verdict: Verdict, responses: Iterable[str]) -> None:
        """Queue a verdict row; the responses it rests on must have been added before."""
        content = verdict_row(verdict, responses)
        key = verdict_key(cell, identity)
        digest = fingerprint([cell, identity, content])
        self._add(
            _verdicts,
            {
                "key": key,
                "cell": cell,
                "identity": identity,
                "content": content,
                "digest": digest,
                "created": time(),
            },
        )

    def add_labels(self, rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Write labels at once: (cell, item, content as JSON); a later one of the same metric replaces it."""
        made = []
        for cell, item, value in rows:
            content = canonical(value)
            key = fingerprint([cell, item, value["metric"]])
            digest = fingerprint([cell, item, content])
            row = {"key": key, "cell": cell, "item": item, "content": content, "digest": digest}
            made.append({**row, "created": time()})
        if made:
            with self._errors("write"), self._engine.begin() as connection:
                self._insert(connection, _labels, made)

    def _add(self, table: sa.Table, row: dict[str, Any]) -> None:
        if self._full is not None:  # no try for each of the items that are still under way
            raise StoreFullError(self._full)
        self._pending[table][row["key"]] = row
        full = sum(map(len, self._pending.values())) >= FLUSH_ROWS
        if full or monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what is queued, responses and verdicts in one transaction."""
        self._flushed = monotonic()
        if not any(self._pending.values()):
            return
        try:
            with self._errors("write"), self._engine.begin() as connection:
                for table, rows in self._pending.items():
                    if rows:
                        self._insert(connection, table, list(rows.values()))
        except StoreFullError as error:
            self._full = str(error)
            raise
        for rows in self._pending.values():
            rows.clear()

    def close(self) -> None:
        """Flush and release the database."""
        self.flush()
        self._engine.dispose()

    def put_meta(self, values: Mapping[str, Any]) -> None:
        """Write named JSON values (the plan, the arms, the state of cells), replacing older ones."""
        rows = [{"name": name, "value": canonical(value)} for name, value in values.items()]
        if not rows:
            return
        with self._errors("write"), self._engine.begin() as connection:
            self._insert(connection, _meta, rows)

    # -- reading ---------------------------------------------------------------------------------------------

    def meta(self, prefix: str) -> dict[str, Any]:
        """Named JSON values whose name starts with ``prefix``, without the prefix."""
        with self._errors("read"), self._engine.connect() as connection:
            rows = connection.execute(sa.select(_meta.c.name, _meta.c.value).order_by(_meta.c.name)).all()
        return {name[len(prefix) :]: json.loads(value) for name, value in rows if name.startswith(prefix)}

    def responses(self, target: str) -> dict[str, str]:
        """All whole responses of a target: key -> result (JSON)."""
        columns = (_responses.c.key, _responses.c.request, _responses.c.result, _responses.c.digest)
        with self._errors("read"), self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(_responses.c.target == target))
            stored = {
                k: result for k, request, result, d in rows if fingerprint([target, request, result]) == d
            }
        stored.update({k: r["result"] for k, r in self._pending[_responses].items() if r["target"] == target})
        return stored

    def usage(self, target: str) -> Usage:
        """What a target's stored responses took."""
        requests = prompt_tokens = tokens = 0
        for result in self.responses(target).values():
            requests += 1
            for row in json.loads(result):
                prompt_tokens += row.get("prompt_tokens", 0)
                tokens += row.get("tokens", 0)
        return Usage(requests=requests, prompt_tokens=prompt_tokens, tokens=tokens)

    def response(self, key: str) -> tuple[Any, Any] | None:
        """(request, result) of one response, or None."""
        columns = (_responses.c.request, _responses.c.result)
        with self._errors("read"), self._engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(_responses.c.key == key)).first()
        return None if row is None else (json.loads(row[0]), json.loads(row[1]))

    def verdicts(self, cell: str) -> dict[str, StoredVerdict]:
        """All whole verdicts of a cell: verdict key -> verdict."""
        columns = (_verdicts.c.key, _verdicts.c.identity, _verdicts.c.content, _verdicts.c.digest)
        with self._errors("read"), self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(_verdicts.c.cell == cell))
            whole = {k: content for k, i, content, d in rows if fingerprint([cell, i, content]) == d}
        whole.update({k: r["content"] for k, r in self._pending[_verdicts].items() if r["cell"] == cell})
        return {key: _stored_verdict(content) for key, content in whole.items()}

    def labels(self, cell: str) -> list[tuple[str, dict[str, Any]]]:
        """All whole labels of a cell: (item, content)."""
        if self._version < 2:
            return []
        columns = (_labels.c.item, _labels.c.content, _labels.c.digest)
        with self._errors("read"), self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(_labels.c.cell == cell))
            return [
                (i, json.loads(content)) for i, content, d in rows if fingerprint([cell, i, content]) == d
            ]

    # -- checking --------------------------------------------------------------------------------------------

    def verify(self) -> StoreReport:
        """Recompute every key and digest; see that each verdict finds its responses."""
        corrupt: list[str] = []
        keys: set[str] = set()
        wanted: dict[str, list[str]] = {}
        counts: dict[str, int] = {}
        with self._errors("read"), self._engine.connect() as connection:
            responses = 0
            for row in connection.execute(sa.select(_responses)):
                responses += 1
                if _whole_response(row):
                    keys.add(row.key)
                else:
                    corrupt.append(row.key)
            verdicts = 0
            for row in connection.execute(sa.select(_verdicts)):
                verdicts += 1
                counts[row.cell] = counts.get(row.cell, 0) + 1
                if fingerprint([row.cell, row.identity, row.content]) != row.digest or row.key != verdict_key(
                    row.cell, row.identity
                ):
                    corrupt.append(row.key)
                    continue
                for key in _stored_verdict(row.content).responses:
                    wanted.setdefault(key, []).append(row.key)
            if self._version >= 2:
                for row in connection.execute(sa.select(_labels)):
                    if fingerprint([row.cell, row.item, row.content]) != row.digest:
                        corrupt.append(row.key)
        dangling = sorted({v for key, users in wanted.items() if key not in keys for v in users})
        return StoreReport(
            responses=responses,
            verdicts=verdicts,
            corrupt=tuple(corrupt),
            dangling=tuple(dangling),
            counts=counts,
        )


def _whole_response(row: Any) -> bool:
    return bool(
        fingerprint([row.target, row.request, row.result]) == row.digest
        and row.key == response_key(row.target, row.request)
    )


def response_key(target: str, request: str) -> str:
    """The key of a response: target fingerprint and canonical request."""
    return fingerprint([target, request])


def verdict_key(cell: str, identity: str) -> str:
    """The key of a verdict: its cell, and what was asked of whom and judged how (canonical JSON)."""
    return fingerprint([cell, identity])


def make_folder(folder: Path) -> None:
    """Create an output folder, or say in one sentence why it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the output folder {str(folder)!r}: {error.strerror}; choose another with --out."
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    cursor = connection.cursor()
    # WAL lets a report read while a study writes; NORMAL keeps the file whole if the process is killed.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()
