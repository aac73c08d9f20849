"""The store: append-only rows keyed by content, in a folder (SQLite) or at a PostgreSQL URL.

A *response* is keyed by (target fingerprint, request); a *verdict* by (measure, item, target, attack, seed).
Each row carries a digest of its content: a row that was altered is treated as absent, so a study runs it
again, and ``verify`` names it. Writes are gathered and committed together; a killed process loses at most
what was not yet flushed. Several processes may write: of two rows with one key the first stays, and a verdict
that rests on an answer which came second is not stored (``superseded`` counts them: judged again, from the
answer that stands, they cost nothing).
"""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any

import sqlalchemy as sa

from trueline.core.errors import InputError, UnfinishedError
from trueline.core.fingerprint import canonical
from trueline.core.verdicts import Verdict

from .store_rows import StoredVerdict, StoreReport, Usage, stored_verdict, verdict_row
from .store_tables import (
    LABELS,
    META,
    MIGRATIONS,
    POSTGRESQL,
    RESPONSES,
    SCHEMA_VERSION,
    VERDICTS,
    content_of,
    create_tables,
    is_whole,
    make_row,
    open_engine,
    put,
    response_key,
    verdict_key,
)

__all__ = ["Store", "StoreFullError", "StoreReport", "StoredVerdict", "Usage", "response_key", "verdict_key"]
ADDRESS = re.compile(r"[a-z][a-z0-9+]+:/")  # two letters or more: C:/ is a folder
FLUSH_ROWS = 400
FLUSH_SECONDS = 1.0
READ_ROWS = 1000  # at a time


class StoreFullError(UnfinishedError):
    """The store takes no more rows: its disk is full, or its server is gone."""


class Store:
    """Open a store; ``url`` is a folder (SQLite file inside) or a SQLAlchemy URL."""

    def __init__(self, url: str | Path, *, read_only: bool = False) -> None:
        text = str(url)
        if "://" not in text:
            folder = Path(text)
            if not read_only:
                make_folder(folder)
            text = f"sqlite:///{folder / 'store.sqlite'}"
        self._engine = open_engine(text)
        self._pending: dict[sa.Table, dict[str, dict[str, Any]]] = {RESPONSES: {}, VERDICTS: {}}
        self._second: set[str] = set()  # answers of ours to what another process had stored an answer to
        self.superseded = 0  # verdicts not stored because they rest on these
        self._flushed = monotonic()
        self._full: str | None = None
        with self._errors("open"):
            if not read_only:
                with self._engine.begin() as connection:
                    create_tables(connection)
            elif not sa.inspect(self._engine).has_table(META.name):
                raise InputError(
                    f"the database at {self._engine.url} holds no study; run one on it first (store: URL in a study "
                    "file, or --store URL)."
                )
            self._check_version(read_only)

    def _check_version(self, read_only: bool) -> None:
        with self._engine.begin() as connection:
            found = connection.execute(sa.select(META.c.value).where(META.c.name == "schema")).scalar()
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
        put(connection, META, [{"name": "schema", "value": str(version)}], replace=True)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as error:
            reason = " ".join(str(error.orig).split())
            gone = verb == "write" and self._engine.dialect.name == POSTGRESQL
            if gone or any(word in reason for word in ("full", "I/O", "No space")):
                cure = "see that its server is up" if gone else "free some space"
                raise StoreFullError(
                    f"cannot {verb} the store: {reason}; what was stored before is whole: {cure} and "
                    "run the same command again to resume."
                ) from error
            raise InputError(f"cannot {verb} the store at {self._engine.url}: {reason}.") from error
        except sa.exc.DatabaseError as error:
            raise InputError(
                f"the store at {self._engine.url} is not a Trueline store or is damaged: "
                f"{' '.join(str(error.orig).split())}; restore it from a copy, or choose another --out folder or store."
            ) from error

    # -- writing ---------------------------------------------------------------------------------------------

    def add_response(self, target: str, request: str, result: str) -> str:
        """Queue a response row (JSON texts), flushed with others; returns its key."""
        return self._add(RESPONSES, target, request, result)

    def add_verdict(self, cell: str, identity: str, verdict: Verdict, responses: Iterable[str]) -> None:
        """Queue a verdict row; the responses it rests on must have been added before."""
        self._add(VERDICTS, cell, identity, verdict_row(verdict, responses))

    def add_labels(self, rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Write labels at once: (cell, item, content as JSON); a later one of the same metric replaces it."""
        made = [make_row(LABELS, (cell, item, canonical(value)), time()) for cell, item, value in rows]
        with self._errors("write"), self._engine.begin() as connection:
            put(connection, LABELS, made, replace=True)

    def _add(self, table: sa.Table, *content: str) -> str:
        if self._full is not None:  # no try for each of the items that are still under way
            raise StoreFullError(self._full)
        row = make_row(table, content, time())
        key: str = row["key"]
        self._pending[table][key] = row
        full = sum(map(len, self._pending.values())) >= FLUSH_ROWS
        if full or monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()
        return key

    def flush(self) -> None:
        """Commit what is queued, responses and verdicts in one transaction."""
        self._flushed = monotonic()
        if not any(self._pending.values()):
            return
        try:
            with self._errors("write"), self._engine.begin() as connection:
                second = self._second | self._keep(connection, RESPONSES, self._pending[RESPONSES])
                verdicts = {
                    key: row
                    for key, row in self._pending[VERDICTS].items()
                    if not second or second.isdisjoint(stored_verdict(row["content"]).responses)
                }
                self._keep(connection, VERDICTS, verdicts)
        except StoreFullError as error:
            self._full = str(error)
            raise
        self._second = second
        self.superseded += len(self._pending[VERDICTS]) - len(verdicts)
        for rows in self._pending.values():
            rows.clear()

    def _keep(
        self, connection: sa.Connection, table: sa.Table, rows: Mapping[str, dict[str, Any]]
    ) -> set[str]:
        """Insert rows, in place of altered ones; the keys under which other whole content stands."""
        if not rows:
            return set()
        put(connection, table, list(rows.values()), replace=False)
        there = connection.execute(sa.select(table).where(table.c.key.in_(list(rows))))
        other = [
            row
            for row in map(sa.Row._asdict, there)
            if content_of(table, row) != content_of(table, rows[row["key"]])
            or row["digest"] != rows[row["key"]]["digest"]
        ]
        altered = {row["key"] for row in other if not is_whole(table, row)}
        put(connection, table, [rows[key] for key in altered], replace=True)
        return {row["key"] for row in other} - altered

    def close(self) -> None:
        """Flush and release the database."""
        try:
            self.flush()
        finally:
            self._engine.dispose()

    def put_meta(self, values: Mapping[str, Any]) -> None:
        """Write named JSON values (the plan, the arms, the state of cells), replacing older ones."""
        rows = [{"name": name, "value": canonical(value)} for name, value in values.items()]
        with self._errors("write"), self._engine.begin() as connection:
            put(connection, META, rows, replace=True)

    # -- reading ---------------------------------------------------------------------------------------------

    def meta(self, prefix: str) -> dict[str, Any]:
        """Named JSON values whose name starts with ``prefix``, without the prefix."""
        with self._errors("read"), self._engine.connect() as connection:
            rows = connection.execute(sa.select(META.c.name, META.c.value).order_by(META.c.name)).all()
        return {name[len(prefix) :]: json.loads(value) for name, value in rows if name.startswith(prefix)}

    def responses(self, target: str) -> dict[str, str]:
        """All whole responses of a target: key -> result (JSON)."""
        stored = {row["key"]: row["result"] for row in self._whole(RESPONSES, target)}
        stored.update({k: r["result"] for k, r in self._pending[RESPONSES].items() if r["target"] == target})
        return stored

    def response_keys(self, target: str) -> frozenset[str]:
        """The keys of all whole responses of a target."""
        return frozenset(row["key"] for row in self._whole(RESPONSES, target))

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
        columns = (RESPONSES.c.request, RESPONSES.c.result)
        with self._errors("read"), self._engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(RESPONSES.c.key == key)).first()
        return None if row is None else (json.loads(row[0]), json.loads(row[1]))

    def verdicts(self, cell: str) -> dict[str, StoredVerdict]:
        """All whole verdicts of a cell: verdict key -> verdict."""
        whole = {row["key"]: row["content"] for row in self._whole(VERDICTS, cell)}
        whole.update({k: r["content"] for k, r in self._pending[VERDICTS].items() if r["cell"] == cell})
        return {key: stored_verdict(content) for key, content in whole.items()}

    def labels(self, cell: str) -> list[tuple[str, dict[str, Any]]]:
        """All whole labels of a cell: (item, content)."""
        if self._version < 2:
            return []
        return [(row["item"], json.loads(row["content"])) for row in self._whole(LABELS, cell)]

    def _whole(self, table: sa.Table, first: str) -> Iterator[Mapping[str, Any]]:
        """The whole rows of a target or cell."""
        column = list(table.columns)[1]
        return (row for row in self._rows(sa.select(table).where(column == first)) if is_whole(table, row))

    def _rows(self, query: Any) -> Iterator[Mapping[str, Any]]:
        with self._errors("read"), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=READ_ROWS).execute(query):
                yield row._asdict()

    # -- checking --------------------------------------------------------------------------------------------

    def verify(self) -> StoreReport:
        """Recompute every key and digest; see that each verdict finds its responses."""
        corrupt: list[str] = []
        keys: set[str] = set()
        wanted: dict[str, list[str]] = {}
        counts: dict[str, int] = {}
        responses = 0
        for row in self._rows(sa.select(RESPONSES)):
            responses += 1
            if is_whole(RESPONSES, row):
                keys.add(row["key"])
            else:
                corrupt.append(row["key"])
        for row in self._rows(sa.select(VERDICTS)):
            counts[row["cell"]] = counts.get(row["cell"], 0) + 1
            if not is_whole(VERDICTS, row):
                corrupt.append(row["key"])
                continue
            for key in stored_verdict(row["content"]).responses:
                wanted.setdefault(key, []).append(row["key"])
        if self._version >= 2:
            corrupt += [row["key"] for row in self._rows(sa.select(LABELS)) if not is_whole(LABELS, row)]
        dangling = sorted({v for key, users in wanted.items() if key not in keys for v in users})
        return StoreReport(
            responses=responses,
            verdicts=sum(counts.values()),
            corrupt=tuple(corrupt),
            dangling=tuple(dangling),
            counts=counts,
        )


def make_folder(folder: Path) -> None:
    """Create an output folder, or say in one sentence why it cannot be written."""
    if ADDRESS.match(str(folder)):
        raise InputError(
            f"{str(folder).partition(':')[0]}:// is an address and --out takes a folder: name the database with "
            "--store URL, or in a study file (store: URL)."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the output folder {str(folder)!r}: {error.strerror}; choose another with --out."
        ) from error
