"""The audit of a data file as Markdown and JSON."""

from pathlib import Path
from typing import Any

from trueline.data.audit.cleaning import Cleaned
from trueline.data.audit.finding import Check
from trueline.studies.auditing import Audit

SHOWN = 20  # rows of a check that the Markdown shows; audit.json has all of them
ACTIONS = {"remove": "removed", "change": "changed", "report": "left in"}


def audit_json(audit: Audit) -> dict[str, Any]:
    """Everything that was found."""
    file = audit.file
    return {
        "file": str(file.path),
        "sha256": audit.sha256,
        "kind": file.kind,
        "rows": len(file.raw),
        "checks": [_check_json(check) for check in audit.checks],
    }


def audit_markdown(audit: Audit, cleaned: Cleaned | None = None) -> str:
    """A table of all checks, then the first rows of each."""
    file = audit.file
    lines = [
        f"# Audit of {file.path.name}",
        "",
        f"{len(file.raw):,} rows of {file.kind}, sha256 {audit.sha256[:16]}….",
        "",
        "| check | | rows | what was found |",
        "| --- | --- | ---: | --- |",
        *(f"| {c.name} | {c.grade} | {c.rows or ''} | {_cell(c.summary)} |" for c in audit.checks),
        "",
    ]
    if cleaned is not None:
        lines += [
            f"The cleaned file keeps {len(cleaned.rows):,} of {len(file.raw):,} rows: {cleaned.removed:,} were "
            f"removed and {cleaned.changed:,} changed. Its log has a line for each.",
            "",
        ]
    for check in audit.checks:
        if check.findings:
            lines += _section(check)
    return "\n".join(lines)


def write_audit(audit: Audit, folder: Path, cleaned: Cleaned | None = None) -> tuple[Path, Path]:
    """``audit.md`` and ``audit.json`` in the folder."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    text, data = folder / "audit.md", folder / "audit.json"
    data.write_text(json.dumps(audit_json(audit), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    text.write_text(audit_markdown(audit, cleaned), encoding="utf-8")
    return text, data


def _section(check: Check) -> list[str]:
    rest = len(check.findings) - SHOWN
    return [
        f"## {check.name}",
        "",
        f"Why it matters: {check.why}. In a cleaned file these rows are {ACTIONS[check.action]}.",
        "",
        "| line | what |",
        "| ---: | --- |",
        *(f"| {finding.line} | {_cell(finding.what)} |" for finding in check.findings[:SHOWN]),
        *([f"| … | and {rest:,} more in audit.json |"] if rest > 0 else []),
        "",
    ]


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "grade": check.grade,
        "summary": check.summary,
        "why": check.why,
        "action": check.action,
        "rows": check.rows,
        "numbers": dict(check.numbers),
        "findings": [
            {"line": f.line, "what": f.what, **({} if f.other is None else {"other": f.other})}
            for f in check.findings
        ],
    }


def _cell(text: str) -> str:
    """Text in a table's cell, shown as it is."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return escaped.replace("*", "\\*").replace("`", "\\`")
