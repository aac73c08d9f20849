"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket only, gone when they end."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTED_WITHIN_S = 60


def binaries() -> Path | None:
    """The folder of initdb and postgres, on the path or where Debian puts them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: int(path.parent.name), default=None)


def _as_user() -> dict[str, Any]:
    """The server refuses to run as root: then somebody else runs it."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def running(folder: Path) -> Iterator[Callable[[], str]]:
    """A server; what it gives makes a new empty schema, which is far cheaper than a database, and returns its URL."""
    import psycopg

    # A socket's path may have some hundred bytes, which a test's own folder exceeds.
    root = Path(tempfile.mkdtemp(prefix="trueline-pg-"))
    user = _as_user()
    if user:
        os.chown(root, user["user"], user["group"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": root, **user}
    make = ["initdb", "-D", root / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run([folder / make[0], *make[1:]], check=True, **quiet)
    serve = [folder / "postgres", "-D", root / "data", "-F", "-k", root, "-c", "listen_addresses="]
    server = subprocess.Popen(serve, **quiet)
    address = f"host={root} user=postgres dbname=postgres"
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while True:
            try:
                connection = psycopg.connect(address, autocommit=True)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                time.sleep(0.05)
        numbers = itertools.count()
        with connection:

            def new_schema() -> str:
                name = f"store{next(numbers)}"
                connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[call-overload]
                return f"postgresql://postgres@/postgres?host={root}&options=-csearch_path%3D{name}"

            yield new_schema
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, without writing down what is thrown away
        server.wait()
        shutil.rmtree(root, ignore_errors=True)
