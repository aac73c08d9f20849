"""A scripted target and scripted judges for tests of measures and attacks."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Judgement
from trueline.core.verdicts import Item
from trueline.judges.entailment import Relation

T = TypeVar("T")
Answer = str | Completion | Sequence[str | Completion]


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""
    return asyncio.run(work)


def _completions(answer: Answer) -> tuple[Completion, ...]:
    answers = [answer] if isinstance(answer, (str, Completion)) else answer
    return tuple(Completion(text=a, tokens=len(a.split())) if isinstance(a, str) else a for a in answers)


class ScriptedTarget:
    """Answers with ``says(prompt, sampling)``, scores with ``likes(prompt, continuation)``.

    ``says`` gives one answer, which is repeated for every sample, or the list of all answers. ``likes`` gives
    a log-probability (one token) or a list of them, one a token.
    """

    def __init__(
        self,
        says: Callable[[Prompt, Sampling], Answer] = lambda prompt, sampling: "yes",
        likes: Callable[[Prompt, str], float | Sequence[float]] = lambda prompt, continuation: 0.0,
        *,
        capabilities: frozenset[Capability] = frozenset(Capability),
        prompt_tokens: int = 0,
    ) -> None:
        self.says = says
        self.likes = likes
        self.capabilities = capabilities
        self.prompt_tokens = prompt_tokens
        self.name = "scripted"
        self.asked: list[tuple[Prompt, Sampling]] = []
        self.scored: list[tuple[Prompt, tuple[str, ...]]] = []

    def fingerprint(self) -> str:
        return "scripted"

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "scripted"}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        self.asked.append((prompt, sampling))
        answer = self.says(prompt, sampling)
        if isinstance(answer, (str, Completion)):
            answer = [answer] * sampling.samples
        return _completions(answer)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        self.scored.append((prompt, tuple(continuations)))
        found = [self.likes(prompt, continuation) for continuation in continuations]
        return tuple(
            Score(
                token_logprobs=(float(value),) if isinstance(value, (int, float)) else tuple(value),
                prompt_tokens=self.prompt_tokens,
            )
            for value in found
        )

    async def score_with_moments(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        scores = await self.score(prompt, continuations)
        return tuple(replace(s, moments=((-1.0, 0.25),) * len(s.token_logprobs)) for s in scores)


class ScriptedJudge:
    """``value(item, text)`` is the judgement; None gives no judgement."""

    def __init__(self, value: Callable[[Item, str], float | None], name: str = "scripted judge") -> None:
        self.value = value
        self.name = name
        self.seen: list[tuple[Item, Completion]] = []

    def fingerprint(self) -> str:
        return self.name

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        self.seen.append((item, completion))
        value = self.value(item, completion.text)
        return Judgement(value=value, reason=None if value is not None else "unparsed")

    async def relate(self, question: str, premise: str, hypothesis: str) -> Relation:
        value = self.value(Item(id="", prompt=question), f"{premise} -> {hypothesis}")
        assert value is not None
        return Relation(entailment=value, contradiction=1.0 - value)


REFUSAL = ScriptedJudge(lambda item, text: float(text.startswith("Sorry")), "refusal")
