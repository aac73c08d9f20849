"""Prompt templates from a user's file: named fields in braces, everything else as it stands."""

import re
from collections.abc import Sequence
from pathlib import Path

from trueline.core.errors import InputError
from trueline.data.rows import read_text


def read_template(path: Path, fields: Sequence[str]) -> str:
    """The file's text; raises InputError where it cannot be read or lacks a field. A last line break is kept."""
    text = read_text(path)
    lacking = [name for name in fields if f"{{{name}}}" not in text]
    if lacking:
        names = " and ".join(f"{{{name}}}" for name in fields)
        raise InputError(f"the template {path} lacks {{{lacking[0]}}}; it needs {names}.")
    return text


def fill(template: str, **values: str) -> str:
    """Each {field} replaced once over the template, so that braces within a value stay as they are."""
    names = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({names})\}}", lambda found: values[found[1]], template)
