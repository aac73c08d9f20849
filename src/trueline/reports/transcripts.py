"""A few transcripts a measure, side by side over the arms, for the reader to drill into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from trueline.core.messages import as_json, from_json
from trueline.studies.results import CellResult, StudyResults

ITEMS_A_MEASURE = 6
ANSWERS_AN_ITEM = 2
MOST_CHARACTERS = 1200
# What an honest answer to these may hold stays folded until the reader opens it.
FOLDED = ("prompt safety", "data safety", "alignment")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one arm answered, and the verdict."""

    arm: str
    texts: Sequence[str]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One item of a measure with the answers of all arms."""

    item: str
    prompt: Sequence[tuple[str, str]]
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True)
class TranscriptGroup:
    """The transcripts of one measure under one attack."""

    measure: str
    title: str
    attack: str
    folded: bool
    transcripts: Sequence[Transcript]


def transcripts(results: StudyResults) -> Iterator[TranscriptGroup]:
    """Groups in the plan's order; items chosen by their digest, the same for every arm."""
    places = dict.fromkeys((c.measure, c.attack) for c in results.cells if c.done)
    for measure, attack in places:
        cells = [c for c in results.cells if (c.measure, c.attack) == (measure, attack) and c.done]
        stored = {c.arm: {v.verdict.item: v for v in results.stored[c.key]} for c in cells}
        common = sorted(
            {item for rows in stored.values() for item in rows},
            key=lambda item: (-sum(item in rows for rows in stored.values()), sha256(item.encode()).digest()),
        )
        chosen = [t for item in common[:ITEMS_A_MEASURE] if (t := _transcript(item, cells, stored, results))]
        if chosen:
            yield TranscriptGroup(
                measure=measure,
                title=cells[0].title,
                attack=attack,
                folded=cells[0].component in FOLDED,
                transcripts=chosen,
            )


def _transcript(
    item: str, cells: Sequence[CellResult], stored: dict[str, dict[str, Any]], results: StudyResults
) -> Transcript | None:
    prompt: list[tuple[str, str]] = []
    answers = []
    for cell in cells:
        row = stored[cell.arm].get(item)
        if row is None:
            continue
        texts: list[str] = []
        for key in row.responses[:ANSWERS_AN_ITEM]:
            found = results.store.response(key)
            if found is None:
                continue
            request, result = found
            if not prompt:
                prompt = _turns(request)
            texts += _texts(request, result)
        values = ", ".join(f"{k} {v:.3g}" for k, v in row.verdict.values.items())
        answers.append(
            Answer(
                arm=cell.arm,
                texts=texts[:ANSWERS_AN_ITEM],
                verdict=values or f"no verdict: {row.verdict.reason}",
            )
        )
    return Transcript(item=item, prompt=prompt, answers=answers) if prompt else None


def _turns(request: dict[str, Any]) -> list[tuple[str, str]]:
    prompt = from_json(request["generate"] if "generate" in request else request["score"])
    shown = as_json(prompt)
    if isinstance(shown, str):
        return [("text", _cut(shown))]
    return [(turn["role"], _cut(turn["content"])) for turn in shown]


def _texts(request: dict[str, Any], result: Any) -> list[str]:
    if "generate" in request:
        return [_cut(row["text"]) for row in result[:ANSWERS_AN_ITEM]]
    pairs = list(zip(request["continuations"], result))[:6]
    return ["\n".join(f"{sum(score['token_logprobs']):8.2f}  {_cut(text)}" for text, score in pairs)]


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " …"
