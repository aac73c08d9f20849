"""The public data: TRUELINE_DATA, else ../shared/data beside the repository, else a skip."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def real_data(monkeypatch):
    """Makes the registry find the public data, or skips the test."""
    if "TRUELINE_DATA" not in os.environ:
        if not BESIDE.is_dir():
            pytest.skip("no public data: set TRUELINE_DATA")
        monkeypatch.setenv("TRUELINE_DATA", str(BESIDE))
