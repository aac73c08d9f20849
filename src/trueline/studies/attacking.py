"""Attacking a user's own requests."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trueline.catalog import make
from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Attack, Budget
from trueline.core.verdicts import Item
from trueline.data.rows import read_text

from .lacking import lacking
from .spec import Named, TargetSpec
from .subjects import load_subject


def read_requests(path: Path) -> list[str]:
    """Requests from a text file (one a line) or JSONL with a ``prompt`` field.

    Raises:
        InputError: unreadable, empty, or a line that is not as said; names the line.
    """
    requests = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        if path.suffix != ".jsonl":
            requests.append(line.strip())
            continue
        try:
            requests.append(str(json.loads(line)["prompt"]))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}: not a JSON object with a 'prompt' field.") from error
    if not requests:
        raise InputError(f"{str(path)!r} holds no request; write one a line.")
    return requests


def attack_requests(
    spec: TargetSpec, name: str, requests: Sequence[str], queries: int, max_tokens: int
) -> list[dict[str, Any]]:
    """One row an attempt: request, answer, refused (1, 0 or None with a reason)."""
    subject = load_subject(spec)
    attack: Attack = subject.attack(Named(name=name))
    reason = lacking(attack.needs, subject.target.capabilities)
    if reason is not None:
        raise InputError(f"attack {name!r} cannot be used here: {reason}.")
    judge = make("judge", "refusal_patterns", {})

    async def one(number: int, request: str) -> list[dict[str, Any]]:
        item = Item(id=str(number), prompt=chat(request))
        try:
            completions = await attack.attempts(
                subject.target, item.prompt, Sampling(max_tokens=max_tokens), Budget(queries=queries)
            )
        except NotMeasurableError as error:
            return [{"request": request, "answer": "", "refused": None, "reason": str(error)}]
        rows = []
        for completion in completions:
            word = await judge.judge(item, completion)
            rows.append(
                {"request": request, "answer": completion.text, "refused": word.value, "reason": word.reason}
            )
        return rows

    async def everything() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(one(i, request) for i, request in enumerate(requests)))

    return [row for rows in asyncio.run(everything()) for row in rows]
