"""What the store gives back: verdicts with the answers that they rest on, what was spent, what ``verify`` found."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trueline.core.fingerprint import canonical
from trueline.core.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class StoredVerdict:
    """A verdict with the keys of the responses it rests on."""

    verdict: Verdict
    responses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Requests made, prompt tokens read and tokens generated."""

    requests: int = 0
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class StoreReport:
    """What ``verify`` found: row counts and the keys of rows whose content does not match their digest."""

    responses: int
    verdicts: int
    corrupt: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is corrupt and every verdict finds its responses."""
        return not self.corrupt and not self.dangling


def verdict_row(verdict: Verdict, responses: Iterable[str]) -> str:
    """Canonical JSON of a verdict and its response keys."""
    return canonical(
        {
            "item": verdict.item,
            "values": {k: float(v) for k, v in verdict.values.items()},
            "reason": verdict.reason,
            "cluster": verdict.cluster,
            "group": verdict.group,
            "note": verdict.note,
            "responses": list(responses),
        }
    )


def stored_verdict(content: str) -> StoredVerdict:
    """The verdict of a row."""
    row = json.loads(content)
    responses = tuple(row.pop("responses"))
    return StoredVerdict(verdict=Verdict(**row), responses=responses)
