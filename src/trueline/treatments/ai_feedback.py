"""Revisions and preferences made by a critic under a constitution (Bai et al. 2022, arXiv 2212.08073).

Section 3: an answer is drawn, then criticised and revised again and again, each time under a principle drawn
at random. Section 4: two answers are drawn, and the critic says which keeps a drawn principle better. Each
prompt's work is a line of a JSONL file (kept_lines.py), its random choices a function of (seed, prompt's
number, step): a killed run goes on and ends in the same lines.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from trueline.core.errors import NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation, Sampling, as_json, from_json
from trueline.core.protocols import Target
from trueline.core.statistics import proportion_interval
from trueline.data.preferences import Demonstration, PreferencePair

from .constitution import Constitution
from .critic import Critic, critique_request, revision_request, usable
from .kept_lines import KeptLines

IN_FLIGHT = 128  # prompts worked on at once: enough to fill batches; a kill loses at most these
Report = Callable[[int, int, str], None]


def stream(seed: int, *place: int | str) -> int:
    """The seed of one draw."""
    return int(fingerprint([seed, *place])[:8], 16)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Who answers, who criticises, and under what."""

    constitution: Constitution
    critic: Critic
    seed: int
    answer_tokens: int

    async def revise(self, target: Target, prompt: Conversation, number: int, rounds: int) -> dict[str, Any]:
        """An answer of the target and its revisions; a step whose critique or revision cannot be used says
        why and changes nothing."""
        (drawn,) = await target.generate(prompt, self._sampling(number, "answer", samples=1))
        answer, steps = drawn.text, []
        for step in range(rounds):
            told = await self._step(prompt, answer, number, step)
            answer = told["revision"] or answer
            steps.append(told)
        return {"prompt": as_json(prompt), "answer": drawn.text, "steps": steps, "reason": None}

    async def _step(self, prompt: Conversation, answer: str, number: int, step: int) -> dict[str, Any]:
        principle = self.constitution.draw(self.seed, number, step)
        told: dict[str, Any] = {"principle": principle.name, "critique": "", "revision": None}
        try:
            asked = critique_request(prompt, answer, principle)
            critique = await self.critic.say(asked, stream(self.seed, number, step, "critique"))
            told["critique"], told["reason"] = critique.text, usable(critique)
            if told["reason"] is None:
                asked = revision_request(prompt, answer, critique.text, principle)
                revised = await self.critic.say(asked, stream(self.seed, number, step, "revision"))
                told["reason"] = usable(revised)
                told["revision"] = revised.text.strip() if told["reason"] is None else None
        except NotMeasurableError as fault:  # longer than the critic's window
            told["reason"] = str(fault)
        return told

    async def compare(self, target: Target, prompt: Conversation, number: int) -> dict[str, Any]:
        """Two answers of the target and how probable the critic finds it that the first is better."""
        drawn = await target.generate(prompt, self._sampling(number, "pair", samples=2))
        answers = [completion.text.strip() for completion in drawn]
        principle = self.constitution.draw(self.seed, number, "comparison")
        reason = next((fault for completion in drawn if (fault := usable(completion))), None)
        if reason is None and answers[0] == answers[1]:
            reason = "identical"
        probability = None
        if reason is None:
            probability = await self.critic.prefers(prompt, answers[0], answers[1], principle)
            reason = "the critic did not say" if probability is None else None
            reason = "the critic saw no difference" if probability == 0.5 else reason
        return {
            "prompt": as_json(prompt), "answers": answers, "principle": principle.name,
            "first_is_better": probability, "reason": reason,
        }  # fmt: skip

    def _sampling(self, number: int, what: str, *, samples: int) -> Sampling:
        return Sampling(
            max_tokens=self.answer_tokens,
            temperature=1.0,
            samples=samples,
            seed=stream(self.seed, number, what),
        )


async def each(
    lines: KeptLines,
    prompts: Sequence[Conversation],
    work: Callable[[Conversation, int], Awaitable[dict[str, Any]]],
    progress: Report,
    words: str,
) -> list[dict[str, Any]]:
    """The lines of all prompts, in their order; those that are there are not made again."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with gate:
            try:
                piece = await work(prompts[number], number)
            except NotMeasurableError as fault:  # too long for a window: said, and left out
                piece = {"prompt": as_json(prompts[number]), "steps": [], "reason": str(fault)}
            lines.add(number, piece)
            progress(len(lines.done), len(prompts), words)

    await asyncio.gather(*(one(number) for number in range(len(prompts)) if number not in lines.done))
    return [lines.done[number] for number in range(len(prompts))]


def revised_demonstrations(rows: Sequence[Mapping[str, Any]]) -> tuple[Demonstration, ...]:
    """The revisions of every step, as in the paper (section 3.2)."""
    return tuple(
        Demonstration(prompt=_talk(row), answer=step["revision"], meta={"principle": step["principle"]})
        for row in rows
        for step in row["steps"]
        if step["revision"] is not None
    )


def preferred_pairs(rows: Sequence[Mapping[str, Any]]) -> tuple[PreferencePair, ...]:
    """The pairs that the critic told apart, the more probable answer as the chosen one."""
    pairs = []
    for row in rows:
        if row["reason"] is None:
            first_wins = row["first_is_better"] > 0.5
            chosen, rejected = row["answers"] if first_wins else row["answers"][::-1]
            meta = {"principle": row["principle"], "probability": row["first_is_better"]}
            pairs.append(PreferencePair(prompt=_talk(row), chosen=chosen, rejected=rejected, meta=meta))
    return tuple(pairs)


def reasons(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How often a line, or a step of one, was not used, by reason."""
    return dict(Counter(str(row["reason"]) for row in rows if row["reason"] is not None))


async def agreement(pairs: Sequence[PreferencePair], reward: Any) -> dict[str, Any]:
    """How often the chosen answer has the higher reward, with its 95 % interval; ties are counted apart."""
    right = wrong = ties = 0
    for pair in pairs:
        given = reward(pair.prompt, (pair.chosen, pair.rejected))
        chosen, rejected = await given if isawaitable(given) else given
        right, wrong, ties = (
            right + (chosen > rejected),
            wrong + (chosen < rejected),
            ties + (chosen == rejected),
        )
    told: dict[str, Any] = {"n": right + wrong, "ties": ties}
    if right + wrong:
        interval = proportion_interval(right, right + wrong)
        told |= {"value": right / (right + wrong), "low": interval.low, "high": interval.high}
        told |= {"interval": interval.name}
    return told


def _talk(row: Mapping[str, Any]) -> Conversation:
    talk = from_json(row["prompt"])
    assert not isinstance(talk, str), "prompts are conversations"
    return talk
