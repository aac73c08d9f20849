"""docs/study_file.md names every key that a study, target, endpoint, policy or comparison takes, and no other."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from trueline.catalog import find
from trueline.studies.comparison.spec import ComparisonSpec
from trueline.studies.endpoints import EndpointOptions
from trueline.studies.gate import Policy, Rule
from trueline.studies.spec import StudySpec, TargetSpec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "study_file.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "The study file": StudySpec,
    "A target": TargetSpec,
    "An endpoint": EndpointOptions,
    "A policy for the gate": Rule,
    "A comparison of methods": ComparisonSpec,
}
YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("title", SECTIONS)
def test_a_table_has_every_key(title: str) -> None:
    section = PAGE.split(f"# {title}\n")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    named = {key for cell in first_cells for key in re.findall(r"`(\w+)`", cell)}
    fields = set(SECTIONS[title].model_fields)
    assert named == fields


def test_every_policy_that_is_shown_is_one() -> None:
    policies = [
        Policy.model_validate(yaml.safe_load(text))
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for text in YAML.findall(page.read_text(encoding="utf-8"))
        if "rules:" in text
    ]
    assert policies
    for rule in (rule for policy in policies for rule in policy.rules):
        metrics = {metric.name for metric in find("measure", rule.measure).metrics}
        assert rule.metric in metrics
