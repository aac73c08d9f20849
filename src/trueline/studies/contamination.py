"""How much of each measure a training file holds: whoever trains on it is measured by heart afterwards.

Example::

    for found in contamination(Path("train.jsonl"), ["mmlu", "xstest"]):
        print(found.measure, len(found.rows), "of", found.items)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.catalog import make, names
from trueline.core.errors import InputError
from trueline.core.messages import last_user
from trueline.core.verdicts import Item
from trueline.data.audit.contamination import SearchedFile
from trueline.data.rows import guess_format, read_rows

from .progress import Progress, Silent

PLAIN = (".txt", ".md")
_LABEL = re.compile(r"^\w+:\s+")
_OPTION = re.compile(r"^\(?[A-H][.)]\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """One measure: its ``items``, how many are ``searchable`` (6 words or more), and for each that was found the
    line of the first row that holds it. ``reason`` says why nothing was looked for."""

    measure: str
    items: int = 0
    searchable: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def share(self) -> float:
        """Of the searchable items, those found; 0 without any."""
        return len(self.rows) / self.searchable if self.searchable else 0.0


def contamination(
    path: Path, measures: Sequence[str] | None = None, *, progress: Progress | None = None
) -> list[Contamination]:
    """Every measure's items looked for in a file: JSON lines, JSON, CSV (all texts of a row) or plain text.

    Raises InputError when the file cannot be read or a measure is unknown.
    """
    numbered = list(_texts(path))
    if not numbered:
        raise InputError(f"{path} holds no text; give a training file with at least one row.")
    lines = [line for line, _ in numbered]
    file = SearchedFile(text for _, text in numbered)
    chosen = list(measures or names("measure"))
    found = []
    with (progress or Silent()).bar(f"searching {len(numbered):,} rows", len(chosen)) as bar:
        for done, name in enumerate(chosen, 1):
            found.append(_search(file, lines, name, given=bool(measures)))
            bar.update(done, len(chosen), name)
    return found


def asked_texts(item: Item) -> list[str]:
    """What of an item would be found in a file: its question as it is asked (or the first text that it scores), and
    each line of it by itself, without a label such as 'Question:'; options are no question."""
    whole = last_user(item.prompt).strip() or (item.options[0].strip() if item.options else "")
    lines = [line.strip() for line in whole.splitlines()]
    alone = [_LABEL.sub("", line) for line in lines if not _OPTION.match(line)]
    return list(dict.fromkeys([whole, *filter(None, alone)]))


def _search(file: SearchedFile, lines: Sequence[int], name: str, *, given: bool) -> Contamination:
    try:
        made: Any = make("measure", name, {})
        items: Sequence[Item] = made.items()
    except InputError as error:
        if given:
            raise
        return Contamination(measure=name, reason=str(error))
    texts = {item.id: asked_texts(item) for item in items if item.group != "control"}
    ids = list(texts)
    rows = file.find(list(texts.values()))
    return Contamination(
        measure=name,
        items=len(ids),
        searchable=file.searchable(list(texts.values())),
        rows={ids[item]: lines[row] for item, row in sorted(rows.items())},
        texts={ids[item]: texts[ids[item]][0] for item in sorted(rows)},
    )


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    form = "text" if path.name.removesuffix(".gz").endswith(PLAIN) else guess_format(path)
    for line, row in read_rows(path, form):
        text = "\n".join(_strings(row))
        if text.strip():
            yield line, text


def _strings(value: Any) -> Iterator[str]:
    """Every text in a row, however deep, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)
