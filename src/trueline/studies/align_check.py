"""Looking before the leap: model folder, template, data and settings of an alignment, without a step taken.

Example: ``check_alignment(TargetSpec(model="./model"), "dpo", {"beta": 0.1}, Path("pairs.jsonl"),
progress=Silent())`` gives a list of oversights, empty when all is well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError
from trueline.data.audit.finding import Check
from trueline.data.audit.reading import read_file
from trueline.models.local import LocalTarget

from .auditing import audit_file
from .oversights import Oversight, Setup, as_prompt, find_oversights
from .progress import Progress
from .spec import TargetSpec
from .subjects import load_subject

TRAINED_ON = ("preferences", "demonstrations", "forget")


def check_alignment(
    spec: TargetSpec, method: str, parameters: Mapping[str, Any], data: Path, *, progress: Progress
) -> list[Oversight]:
    """Every oversight found; raises InputError for what could not be trained at all."""
    treatment = make("treatment", method, parameters)
    wanted = set(getattr(treatment, "resources", ()))
    if not wanted & set(TRAINED_ON):
        raise InputError(f"method {method!r} does not train on data, so there is nothing to check.")
    target = load_subject(spec).target
    if not isinstance(target, LocalTarget):
        raise InputError(f"{spec.model!r} is no local model, so it cannot be trained: give a folder.")
    file = read_file(data)
    if "preferences" in wanted and file.kind != "pairs":
        raise InputError(
            f"method {method!r} learns from preferences, but {data} holds {file.kind}: give chosen and rejected."
        )
    rows = [(as_prompt(row.turns), row.answers) for row in file.rows if all(map(str.strip, row.answers))]
    found = find_oversights(Setup(target=target, treatment=treatment, rows=rows))
    audit = audit_file(data, progress=progress)
    return found + [_of_data(check) for check in audit.checks if check.grade == "fault"]


def _of_data(check: Check) -> Oversight:
    where = f"; first in line {check.findings[0].line}" if check.findings else ""
    return Oversight(
        name=f"data: {check.name}",
        grade="fault",
        what=check.summary + where,
        why=check.why,
        fix="run trueline data audit FILE --clean CLEAN.jsonl and read its log",
    )
