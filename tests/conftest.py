"""What tests of several folders share."""

from collections.abc import Callable, Iterator

import pytest

import postgres_server


@pytest.fixture(scope="session")
def new_schema() -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL schema and gives its URL; skips where no server can be started."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra postgres)")
    found = postgres_server.binaries()
    if found is None:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    with postgres_server.running(found) as make:
        yield make
