"""Where measured cards are kept: one JSON file a judge and label set, found again by the judge's fingerprint."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from trueline.core.protocols import Judge
from trueline.data.sources import cache_folder

from .card import JudgeCard, read_card


def cards_folder() -> Path:
    """``cards`` in TRUELINE_CACHE, or in ~/.cache/trueline."""
    return cache_folder().parent / "cards"


def store_card(card: JudgeCard, labels: str, folder: Path) -> Path:
    """Write a card whole or not at all; the name holds judge, fingerprint and label set."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_plain(card.judge)}-{card.fingerprint[:8]}-{_plain(labels)}.json"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".card-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(card.as_json(), indent=1, ensure_ascii=False) + "\n")
    Path(temporary).chmod(0o644)
    os.replace(temporary, path)
    return path


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def stored_cards(folder: Path | None = None) -> Mapping[Path, JudgeCard]:
    """All cards of a folder by their files."""
    found = sorted((folder or cards_folder()).glob("*.json"))
    return {path: read_card(path) for path in found}


def card_of(judge: Judge) -> JudgeCard | None:
    """The card of exactly this judge: the shipped one, else the stored one with the most sources.

    A card labelled by a model gives no error rates, so it never corrects.
    """
    shipped = getattr(judge, "card", None)
    if shipped is not None:
        found: JudgeCard | None = shipped()
        if found is not None:
            return found
    fingerprint = judge.fingerprint()
    fitting = [
        c for c in stored_cards().values() if c.fingerprint == fingerprint and c.labelled_by == "people"
    ]
    return max(fitting, key=lambda card: (len(card.counts()), card.pooled.n), default=None)
