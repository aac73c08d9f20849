"""The store's tables, their keys and digests, how an older store is brought up to date, and where SQLite and
PostgreSQL differ. The queries are in ``store``.

A row is *whole* while its key and digest are those of its content. An altered row counts as absent.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from trueline.core.errors import InputError, MissingExtraError
from trueline.core.fingerprint import fingerprint

SCHEMA_VERSION = 2  # 1: responses, verdicts, meta; 2: labels
POSTGRESQL = "postgresql"
PSYCOPG = "postgresql+psycopg"
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, POSTGRESQL: postgresql.insert}
_CREATING = 7_280_011  # the advisory lock under which one process at a time creates tables on PostgreSQL

_metadata = sa.MetaData()


def _rows(name: str, first: str, second: str, third: str) -> sa.Table:
    """A table of rows with a key, three columns of content of which the first is searched, and their digest."""
    return sa.Table(
        name,
        _metadata,
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column(first, sa.String(32), nullable=False, index=True),
        sa.Column(second, sa.Text, nullable=False),
        sa.Column(third, sa.Text, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )


META = sa.Table(
    "meta",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
RESPONSES = _rows("responses", "target", "request", "result")
VERDICTS = _rows("verdicts", "cell", "identity", "content")
LABELS = _rows("labels", "cell", "item", "content")
# What a store of the version before lacks; written in order when it is opened for writing.
MIGRATIONS: Mapping[int, sa.Table] = {2: LABELS}


def response_key(target: str, request: str) -> str:
    """The key of a response: target fingerprint and canonical request."""
    return fingerprint([target, request])


def verdict_key(cell: str, identity: str) -> str:
    """The key of a verdict: its cell, and what was asked of whom and judged how (canonical JSON)."""
    return fingerprint([cell, identity])


def label_key(cell: str, item: str, content: str) -> str:
    """The key of a label: its cell, its item and the metric that the content names."""
    return fingerprint([cell, item, json.loads(content)["metric"]])


def content_of(table: sa.Table, row: Mapping[str, Any]) -> list[str]:
    """The three columns that a row's digest covers."""
    return [row[column.name] for column in list(table.columns)[1:4]]


def make_row(table: sa.Table, content: Sequence[str], created: float) -> dict[str, Any]:
    """A row with its key and digest."""
    columns = list(table.columns)[1:4]
    return {
        "key": _key(table, content),
        **dict(zip((column.name for column in columns), content)),
        "digest": fingerprint(content),
        "created": created,
    }


def is_whole(table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Whether a row's digest and key are those of its content."""
    content = content_of(table, row)
    return bool(fingerprint(content) == row["digest"] and _key(table, content) == row["key"])


def _key(table: sa.Table, content: Sequence[str]) -> str:
    first, second, third = content
    if table is LABELS:
        return label_key(first, second, third)
    return response_key(first, second) if table is RESPONSES else verdict_key(first, second)


def open_engine(url: str) -> sa.Engine:
    """An engine for SQLite or PostgreSQL.

    Raises:
        InputError: no such URL, another kind of database, or a driver that is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise InputError(
            "the store's URL cannot be read; write a folder, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        ) from error
    if parsed.drivername in ("postgres", POSTGRESQL):
        parsed = parsed.set(drivername=PSYCOPG)
    if parsed.get_backend_name() not in _INSERTS:
        raise InputError(
            f"a store cannot be kept in {parsed.get_backend_name()!r}; name a folder (SQLite) or a postgresql:// URL."
        )
    try:
        # A server is asked about once a second: a new connection each time outlives its restarts, and is never
        # left open by a reader.
        pool = sa.NullPool if parsed.get_backend_name() == POSTGRESQL else None
        engine = sa.create_engine(parsed, poolclass=pool)
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature="a store on PostgreSQL", extra="postgres") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def without_password(url: str) -> str:
    """A URL as it may be written down; a folder as it is."""
    return sa.make_url(url).render_as_string(hide_password=True) if "://" in url else url


def create_tables(connection: sa.Connection) -> None:
    """Create what is not there; several processes may do so at once."""
    # IF NOT EXISTS rather than create_all's look-then-create: SQLite holds a lock meanwhile, PostgreSQL needs one.
    if connection.dialect.name == POSTGRESQL:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
    for table in _metadata.sorted_tables:
        connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))


def put(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, replace: bool
) -> None:
    """Insert rows; those whose key is there already are replaced, or left as they are."""
    if not rows:
        return
    (key,) = (column.name for column in table.primary_key)
    statement: Any = _INSERTS[connection.dialect.name](table)
    if replace:
        changed = {
            column.name: statement.excluded[column.name] for column in table.columns if column.name != key
        }
        statement = statement.on_conflict_do_update(index_elements=[key], set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=[key])
    # In the order of the key in every process: two that write the same rows never wait for each other.
    connection.execute(statement, sorted((dict(row) for row in rows), key=lambda row: row[key]))


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    # WAL lets a report read while a study writes; NORMAL keeps the file whole if the process is killed.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
