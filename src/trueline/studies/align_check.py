"""Looking before the leap: model folder, template, data and settings of an alignment, without a step taken.

The data are read as training would read them; what it would refuse is found, and left out of what is looked at.
Example: ``check_alignment(TargetSpec(model="./model"), "dpo", {"beta": 0.1}, Path("pairs.jsonl"),
progress=Silent())`` gives a list of oversights, empty when all is well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.messages import Prompt
from trueline.data.audit.finding import Check
from trueline.data.labelled import LabelledText
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.data.rankings import RankedAnswers
from trueline.models.local import LocalTarget

from .aligning import READERS, files_of, method_of, read_data
from .alignment_setup import Oversight, Setup
from .auditing import audit_file
from .oversights import find_oversights
from .progress import Progress
from .spec import TargetSpec
from .subjects import load_subject

OF_PROMPTS = {
    "overlap with measures",
    "personal data",
    "unusable rows",
}  # what an audit says where no answer is read
NOT_AUDITED = "forget"  # what is to be forgotten is no example of what is wanted


def _clean(file: Path) -> str:
    return f"run trueline data audit {file} --clean CLEAN.jsonl and read its log"


def check_alignment(
    spec: TargetSpec,
    method: str,
    parameters: Mapping[str, Any],
    data: Path | None,
    *,
    safety: Path | None = None,
    forget: Path | None = None,
    progress: Progress,
) -> list[Oversight]:
    """Every oversight found; raises InputError for what could not be trained at all."""
    treatment = method_of(method, parameters)
    if not set(getattr(treatment, "resources", ())) & READERS.keys():
        raise InputError(f"method {method!r} does not train on data, so there is nothing to check.")
    files = files_of(method, treatment, data, safety=safety, forget=forget)
    target = load_subject(spec).target
    if not isinstance(target, LocalTarget):
        raise InputError(f"{spec.model!r} is no local model, so it cannot be trained: give a folder.")
    found: list[Oversight] = []
    rows: list[tuple[Prompt, tuple[str, ...]]] = []
    of_data: list[Oversight] = []
    prompts_only = bool(getattr(treatment, "prompts_only", False))
    for kind, file in {file: (kind, file) for kind, file in sorted(files.items(), reverse=True)}.values():
        given, refused = usable_rows(kind, file)
        if refused is not None:
            found.append(refused)
        if not prompts_only:
            rows += [shown for row in given if (shown := prompt_and_answers(row)) is not None]
        if kind != NOT_AUDITED:
            audit = audit_file(file, progress=progress)
            of_data += [
                _of_data(check, file)
                for check in audit.checks
                if check.grade == "fault" and (not prompts_only or check.name in OF_PROMPTS)
            ]
    return found + find_oversights(Setup(target=target, treatment=treatment, rows=rows)) + of_data


def usable_rows(kind: str, data: Path) -> tuple[tuple[Any, ...], Oversight | None]:
    """The rows that training can use, and what it refuses; InputError where it can use none."""
    try:
        return read_data(kind, data, drop_bad=False), None
    except InputError as error:
        refused = Oversight(
            name="data: rows that training refuses", grade="fault", what=str(error).partition("; ")[0],
            why="a trainer that skips them silently trains on other data than you think",
            fix=f"train with --drop-bad, or {_clean(data)}",
        )  # fmt: skip
    return read_data(kind, data, drop_bad=True), refused


def prompt_and_answers(row: Any) -> tuple[Prompt, tuple[str, ...]] | None:
    """What a row of any kind asks and answers; None for a bare request."""
    match row:
        case PreferencePair():
            return row.prompt, (row.chosen, row.rejected)
        case Demonstration():
            return row.prompt, (row.answer,)
        case RankedAnswers():
            return row.prompt, row.answers
        case LabelledText(answer=""):
            return None
        case LabelledText():
            return row.prompt, (row.answer,)
    raise AssertionError(row)


def _of_data(check: Check, file: Path) -> Oversight:
    where = (
        f"; first in line {check.findings[0].line} of {file.name}" if check.findings else f" ({file.name})"
    )
    return Oversight(
        name=f"data: {check.name}", grade="fault", what=check.summary + where, why=check.why, fix=_clean(file)
    )  # fmt: skip
