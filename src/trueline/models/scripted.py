"""A target that says what it is told to: for tests and examples, without a model.

target = ScriptedTarget({"Is 2 even?": "yes"}, default="I don't know.")
target = ScriptedTarget(lambda prompt: last_user(prompt).upper())
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score, as_json, last_user
from trueline.core.protocols import Capability

Answer = str | Completion | Exception
Answers = Callable[[Prompt], Answer | Sequence[Answer]] | Mapping[str, Answer | Sequence[Answer]]
Scores = Callable[[Prompt, str], float | Sequence[float]]
_GENERATING = frozenset({Capability.GENERATE, Capability.RAW_TEXT, Capability.PREFILL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that a scripted target got: a sampling, or the continuations to be scored."""

    prompt: Prompt
    sampling: Sampling | None = None
    continuations: tuple[str, ...] = ()


class ScriptedTarget:
    """Answers from a function of the prompt, or a table from the last user turn (or raw text) to the answer.

    - An answer is a text, a whole Completion, or an exception to be raised; a sequence of them is gone
      through sample by sample, and again from its start. Texts end at the first stop string.
    - ``scores`` gives a continuation's log-likelihood: one number, or one a token. Without it there is no
      SCORE.
    - ``delay_s`` is waited before each answer. ``failures`` are raised, one a request, before any answer is
      given.
    - ``calls`` records every request, in order of arrival.

    A function has no content to fingerprint: targets with different functions need different names or
    versions.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        scores: Scores | None = None,
        name: str = "scripted",
        version: str = "1",
        default: Answer | None = None,
        delay_s: float = 0.0,
        failures: Iterable[Exception] = (),
        capabilities: Iterable[Capability] | None = None,
    ) -> None:
        self._answers = answers
        self._scores = scores
        self._default = default
        self._delay_s = delay_s
        self._failures = list(failures)
        usual = _GENERATING | ({Capability.SCORE} if scores is not None else frozenset())
        self.capabilities = usual if capabilities is None else frozenset(capabilities)
        if Capability.SCORE in self.capabilities and scores is None:
            raise InputError(
                f"the scripted target {name} has the capability to score but no scores; give scores=."
            )
        self.name = name
        self.version = version
        self.calls: list[Call] = []

    def fingerprint(self) -> str:
        """A digest of name, version and, for a table, its texts."""
        table = None
        if isinstance(self._answers, Mapping):
            table = {key: repr(value) for key, value in self._answers.items()}
        return fingerprint({"kind": "scripted", "name": self.name, "version": self.version, "table": table})

    def describe(self) -> Mapping[str, Any]:
        """Provenance: there is no model."""
        return {"kind": "scripted", "name": self.name, "version": self.version, "system_prompt": None}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """The scripted answers to the prompt."""
        self.calls.append(Call(prompt=prompt, sampling=sampling))
        await self._arrive(Capability.GENERATE)
        answers = self._look_up(prompt)
        return tuple(_complete(answers[n % len(answers)], sampling) for n in range(sampling.samples))

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """The scripted scores of the continuations."""
        self.calls.append(Call(prompt=prompt, continuations=tuple(continuations)))
        await self._arrive(Capability.SCORE)
        assert self._scores is not None, "checked when the target was made"
        found = [self._scores(prompt, continuation) for continuation in continuations]
        values = [(float(v),) if isinstance(v, (int, float)) else tuple(float(x) for x in v) for v in found]
        return tuple(Score(token_logprobs=v) for v in values)

    async def _arrive(self, needed: Capability) -> None:
        if needed not in self.capabilities:
            raise NotMeasurableError(f"target {self.name} cannot {needed}.")
        await asyncio.sleep(self._delay_s)
        if self._failures:
            raise self._failures.pop(0)

    def _look_up(self, prompt: Prompt) -> Sequence[Answer]:
        if not isinstance(self._answers, Mapping):
            found = self._answers(prompt)
        elif last_user(prompt) in self._answers:
            found = self._answers[last_user(prompt)]
        elif self._default is not None:
            found = self._default
        else:
            raise InputError(
                f"the scripted target {self.name} has no answer to {as_json(prompt)!r}; add it to its table, "
                "or give a default."
            )
        return [found] if isinstance(found, (str, Completion, Exception)) else found


def _complete(answer: Answer, sampling: Sampling) -> Completion:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, Completion):
        return answer
    ends = [at for stop in sampling.stop if (at := answer.find(stop)) >= 0]
    text = answer[: min(ends)] if ends else answer
    return Completion(text=text, raw=None if text == answer else answer, tokens=len(answer.split()))
