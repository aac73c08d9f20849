"""The folder of public data, where this machine has one."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def public_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """TRUELINE_DATA, or ../shared/data beside the repository; the test is skipped without either."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("TRUELINE_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("the public data sets are not on this machine")
    monkeypatch.setenv("TRUELINE_DATA", str(folder))
    return folder
