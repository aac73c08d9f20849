"""docs/measures.md is what the catalogue says, and says all that must be known of each measure."""

import re
from pathlib import Path

import pytest

from trueline.catalog import MEASURES
from trueline.cli.measure_reference import page

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"
TEXT = PAGE.read_text(encoding="utf-8")
PUBLIC = r"- Data: \S+ at [0-9a-f]{12} \(\w+\), pinned bytes [0-9a-f]{12}, licence: \S.*\."
OWN = r"- Data: (a list of yours|the testbed alone|written for this project, .*digest [0-9a-f]{12}).*\."


def test_the_page_is_current() -> None:
    assert page() == TEXT, "run make docs"


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_an_entry_is_whole(name: str) -> None:
    """Paper, data by commit and hash, version, needs, definitions, risks, and what must not be concluded."""
    (row,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, re.MULTILINE)
    assert re.search(r"\[(\d{4}\.\d{4,5})\]\(https://arxiv\.org/abs/\1\)", row)
    (entry,) = re.findall(rf"^### {name}\n\n(.*?)(?=\n\n#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    lines = entry.splitlines()
    assert re.fullmatch(r"- \S.*, version \S+; needs: \S.*\.", lines[0])
    assert sum(bool(re.fullmatch(PUBLIC, line) or re.fullmatch(OWN, line)) for line in lines) == 1
    assert sum(line.startswith("- Metrics: `") for line in lines) == 1
    assert sum(line.startswith("- Touches: ") for line in lines) == 1
    cautions = [line for line in lines if line.startswith("- Caution: ")]
    assert len(cautions) == 1 and len(cautions[0]) > 60
