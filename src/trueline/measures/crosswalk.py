"""The crosswalk: which risks of OWASP's LLM Top 10, NIST AI 600-1 and MLCommons AILuminate a measure's items touch.

The table is ``crosswalk.yaml``; a contract test holds that every measure of the catalogue and every risk has a place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

NONE = "none"
TABLE = Path(__file__).with_name("crosswalk.yaml")


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A published list of risks: its entries by their own numbers or codes."""

    key: str
    title: str
    edition: str
    source: str
    entries: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Risk:
    """One entry of a list, the measures that touch it, and why none does where none does."""

    framework: Framework
    code: str
    title: str
    measures: Sequence[str]
    untouched: str | None


@dataclass(frozen=True, kw_only=True)
class Crosswalk:
    """The whole table."""

    frameworks: Sequence[Framework]
    touched: Mapping[str, Mapping[str, Sequence[str]]]
    reasons: Mapping[str, str]
    untouched: Mapping[str, Mapping[str, str]]

    def including(self, own: Mapping[str, Mapping[str, Sequence[str]]]) -> "Crosswalk":
        """The table with a user's own measures, by name, and what their files say that they touch."""
        return replace(
            self, touched={**self.touched, **{name: found for name, found in own.items() if found}}
        )

    def words(self, measure: str) -> str | None:
        """What a measure touches, in one line; None for a measure that has no entry."""
        if measure in self.reasons:
            return f"no listed risk: {self.reasons[measure]}"
        if measure not in self.touched:
            return None
        found = self.touched[measure]
        parts = [
            f"{list_.title} " + ", ".join(f"{code} {list_.entries[code]}" for code in found[list_.key])
            for list_ in self.frameworks
            if found.get(list_.key)
        ]
        return " · ".join(parts)

    def risks(self) -> list[Risk]:
        """Every entry of every list, in its order."""
        return [
            Risk(
                framework=list_,
                code=code,
                title=title,
                measures=[name for name, found in self.touched.items() if code in found.get(list_.key, ())],
                untouched=self.untouched.get(list_.key, {}).get(code),
            )
            for list_ in self.frameworks
            for code, title in list_.entries.items()
        ]


@cache
def crosswalk() -> Crosswalk:
    """The table as shipped."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return Crosswalk(
        frameworks=[Framework(key=key, **fields) for key, fields in table["frameworks"].items()],
        touched={name: found for name, found in table["measures"].items() if NONE not in found},
        reasons={name: found[NONE] for name, found in table["measures"].items() if NONE in found},
        untouched=table["untouched"],
    )
