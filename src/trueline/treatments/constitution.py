"""A constitution: the written principles of Constitutional AI (Bai et al. 2022, arXiv 2212.08073).

The file belongs to the user. YAML: a list of sentences, or of mappings with ``name``, ``principle`` and,
optionally, their own ``critique``, ``revision`` and ``comparison`` requests. Any other suffix: plain text, one
principle a line, empty lines and those that start with # left out. The package's own, constitution.yaml, is in
our words. Example of a principle: "The answer must be true, and must say so where its author does not know."
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint

_FIELDS = ("name", "principle", "critique", "revision", "comparison")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One principle; the requests made of it are the usual ones unless the file gives its own."""

    name: str
    principle: str
    critique: str = ""
    revision: str = ""
    comparison: str = ""

    @property
    def asks_critique(self) -> str:
        """What the critic is asked about an answer."""
        usual = f"Say whether the last answer breaks this principle, and where. {self.principle}"
        return self.critique or usual

    @property
    def asks_revision(self) -> str:
        """What the critic is asked after its critique."""
        return self.revision or (
            f"Rewrite the last answer so that it keeps this principle, and give the new answer alone. "
            f"{self.principle}"
        )

    @property
    def asks_comparison(self) -> str:
        """What the critic is asked about two answers."""
        return self.comparison or f"Which answer keeps this principle better? {self.principle}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """The principles in the order of the file."""

    principles: tuple[Principle, ...]

    def fingerprint(self) -> str:
        """A digest of all wordings."""
        return fingerprint([asdict(principle) for principle in self.principles])

    def draw(self, *key: int | str) -> Principle:
        """A principle drawn by the key alone, each with the same chance."""
        return self.principles[int(fingerprint(list(key))[:12], 16) % len(self.principles)]


def read_constitution(path: str = "") -> Constitution:
    """The constitution of a file, or the package's own.

    Raises:
        InputError: the file cannot be read, or an entry is no principle.
    """
    where = path or "the package's constitution"
    try:
        source = Path(path) if path else files("trueline.treatments") / "constitution.yaml"
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the constitution {path!r} cannot be read ({error}); give a text or YAML file."
        ) from error
    if path and Path(path).suffix.lower() not in (".yaml", ".yml"):
        lines = (line.strip().lstrip("-*").strip() for line in text.splitlines())
        entries: Any = [line for line in lines if line and not line.startswith("#")]
    else:
        try:
            entries = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"the constitution {where} is not valid YAML ({error}); mend it.") from error
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f"the constitution {where} holds no list of principles: write one sentence an entry."
        )
    return Constitution(principles=tuple(_principle(entry, n, where) for n, entry in enumerate(entries, 1)))


def _principle(entry: object, number: int, where: str) -> Principle:
    if isinstance(entry, str) and entry.strip():
        return Principle(name=f"principle {number}", principle=entry.strip())
    if not isinstance(entry, Mapping):
        raise InputError(
            f"entry {number} of {where} is {entry!r}: give a sentence, or a mapping with {', '.join(_FIELDS)}."
        )
    unknown = sorted(str(key) for key in entry if key not in _FIELDS)
    given = {key: str(value).strip() for key, value in entry.items() if key in _FIELDS}
    if unknown or not given.get("principle"):
        fault = f"has the unknown field {unknown[0]!r}" if unknown else "has no 'principle'"
        raise InputError(f"entry {number} of {where} {fault}: the fields are {', '.join(_FIELDS)}.")
    return Principle(**{"name": f"principle {number}", **given})
