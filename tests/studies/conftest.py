from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_study

from trueline import catalog
from trueline.studies import plan as plan_module
from trueline.studies.subjects import Subject


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[toy_study.Counter]:
    """The toy target behind every model name, and the toy measures and treatment in the catalogue."""
    target = toy_study.Counter()
    monkeypatch.setattr(plan_module, "load_subject", lambda spec: Subject(target=target))
    monkeypatch.setitem(catalog.MEASURES, "parity", "toy_study:Parity")
    monkeypatch.setitem(catalog.MEASURES, "liking", "toy_study:Liking")
    monkeypatch.setitem(catalog.TREATMENTS, "contrary", "toy_study:Contrary")
    catalog.names.cache_clear()
    yield target
    catalog.names.cache_clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be: a folder, or a PostgreSQL schema of its own."""
    if request.param == "sqlite":
        return str(tmp_path / "store")
    return str(request.getfixturevalue("new_schema")())
