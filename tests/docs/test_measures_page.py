"""docs/measures.md is what the catalogue says."""

from pathlib import Path

from trueline.cli.measure_reference import page

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make docs"
