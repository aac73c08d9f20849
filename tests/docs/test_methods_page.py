"""docs/methods.md has the paper of every treatment of the catalogue, and for reward and cost models."""

import re
from pathlib import Path

from trueline.catalog import TREATMENTS
from trueline.studies.aligning import RATERS

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
PAPER = re.compile(r"\b\d{4}\.\d{4,5}\b|\b10\.\d{4}/")


def test_every_method_has_its_paper() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if PAPER.search(line)]
    found = {named[1] for line in rows if (named := re.match(r"(?:\| )?`(\w+)` [|(]", line))}
    assert found == {*TREATMENTS, *RATERS} - {"none", "replace"}
