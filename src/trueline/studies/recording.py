"""A target whose every answer is stored, and whose stored answers are replayed instead of asked again."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from trueline.core.errors import NotMeasurableError
from trueline.core.fingerprint import canonical
from trueline.core.messages import Completion, Prompt, Sampling, Score, as_json
from trueline.core.protocols import Capability, MomentsTarget, Target

from .store import Store, response_key

Scoring = Callable[[Prompt, Sequence[str]], Awaitable[tuple[Score, ...]]]
# The keys of the responses that the item now being examined rests on (one context a task).
_trail: ContextVar[list[str] | None] = ContextVar("trueline_response_trail", default=None)


class RecordingTarget:
    """Wraps a target for one arm; the study's seed is put into every request."""

    def __init__(self, target: Target, store: Store, *, seed: int = 0) -> None:
        self.target = target
        self.store = store
        self.seed = seed
        self.asked = 0
        self._fingerprint = target.fingerprint()

    @cached_property
    def _known(self) -> dict[str, str]:
        """Stored answers, read when something is asked: with every verdict in the store nothing is."""
        return self.store.responses(self._fingerprint)

    @cached_property
    def whole(self) -> frozenset[str]:
        """The keys of the answers that were stored when this was first asked for."""
        return self.store.response_keys(self._fingerprint)

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.target.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The inner target's capabilities."""
        return self.target.capabilities

    def fingerprint(self) -> str:
        """The inner target's fingerprint."""
        return self._fingerprint

    def describe(self) -> Mapping[str, Any]:
        """The inner target's provenance."""
        return self.target.describe()

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """Stored completions, or new ones, which are stored."""
        sampling = replace(sampling, seed=sampling.seed + self.seed)
        request = canonical({"generate": as_json(prompt), "sampling": asdict(sampling)})
        stored = self._find(request)
        if stored is not None:
            return tuple(_completion(row) for row in stored)
        completions = await self.target.generate(prompt, sampling)
        self._keep(request, [_compact(completion) for completion in completions])
        return completions

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Stored log-likelihoods, or new ones, which are stored."""
        request = canonical({"score": as_json(prompt), "continuations": list(continuations)})
        return await self._scores(request, self.target.score, prompt, continuations)

    async def score_with_moments(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """The same with the vocabulary's moments, where the target gives them."""
        if not isinstance(self.target, MomentsTarget):
            raise NotMeasurableError(f"{self.name} gives no {Capability.MOMENTS}.")
        asked = {"score": as_json(prompt), "continuations": list(continuations), "moments": True}
        return await self._scores(canonical(asked), self.target.score_with_moments, prompt, continuations)

    async def _scores(
        self, request: str, ask: Scoring, prompt: Prompt, continuations: Sequence[str]
    ) -> tuple[Score, ...]:
        stored = self._find(request)
        if stored is not None:
            return tuple(_score(row) for row in stored)
        scores = await ask(prompt, continuations)
        self._keep(request, [_compact_score(score) for score in scores])
        return scores

    def _find(self, request: str) -> Any | None:
        key = response_key(self._fingerprint, request)
        found = self._known.get(key)
        if found is None:
            return None
        _note(key)
        return json.loads(found)

    def _keep(self, request: str, result: Any) -> None:
        text = canonical(result)
        key = self.store.add_response(self._fingerprint, request, text)
        self._known[key] = text
        self.asked += 1
        _note(key)


def start_trail() -> list[str]:
    """Begin noting response keys in this task; returns the list that fills."""
    trail: list[str] = []
    _trail.set(trail)
    return trail


def _note(key: str) -> None:
    trail = _trail.get()
    if trail is not None:
        trail.append(key)


def _compact(completion: Completion) -> dict[str, Any]:
    """Only what differs from a Completion's defaults: rows stay small."""
    default = Completion(text="")
    row = asdict(completion)
    return {k: v for k, v in row.items() if k == "text" or v != getattr(default, k)}


def _compact_score(score: Score) -> dict[str, Any]:
    """Moments stand in a row only where they were asked for."""
    row = {"token_logprobs": score.token_logprobs, "prompt_tokens": score.prompt_tokens}
    return {**row, "moments": score.moments} if score.moments else row


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        token_logprobs=tuple(row["token_logprobs"]),
        prompt_tokens=row["prompt_tokens"],
        moments=tuple((mean, variance) for mean, variance in row.get("moments", ())),
    )


def _completion(row: dict[str, Any]) -> Completion:
    lists = {k: tuple(v) for k, v in row.items() if isinstance(v, list)}
    return Completion(**{**row, **lists})
