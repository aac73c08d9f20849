"""A critic: any target that is asked to criticise, revise and compare answers under a principle.

The three requests are ordinary conversations, so a critic may be the model itself, another local model, an
endpoint or a script. Example of a comparison: "Comparison request: Which answer keeps this principle better?
The answer must be true. … (A) It is ale. (B) It is tea. Reply with A or B alone."
"""

import math
import re
from dataclasses import dataclass

from trueline.core.messages import Completion, Conversation, Sampling, assistant, user
from trueline.core.protocols import Capability, Target

from .constitution import Principle

CRITIQUE, REVISION, COMPARISON = "Critique request:", "Revision request:", "Comparison request:"
_REPLY = "Reply with A or B alone."
_COMPARED = re.compile(
    rf"{COMPARISON} .*?\n\nConversation:\n(?P<talk>.*)\n\n\(A\) (?P<first>.*)\n\n\(B\) (?P<second>.*)\n\n{_REPLY}",
    re.DOTALL,
)
_LETTER = re.compile(r"\W*(?:answer\W+|option\W+)?([AB])\b", re.IGNORECASE)


def critique_request(prompt: Conversation, answer: str, principle: Principle) -> Conversation:
    """The conversation with the answer, and the request to criticise it."""
    return (*prompt, assistant(answer), user(f"{CRITIQUE} {principle.asks_critique}"))


def revision_request(prompt: Conversation, answer: str, critique: str, principle: Principle) -> Conversation:
    """The same with the critique, and the request to revise the answer."""
    asked = critique_request(prompt, answer, principle)
    return (*asked, assistant(critique), user(f"{REVISION} {principle.asks_revision}"))


def comparison_request(prompt: Conversation, first: str, second: str, principle: Principle) -> Conversation:
    """One message with the conversation and two answers to it."""
    talk = "\n".join(f"{message.role}: {message.content}" for message in prompt)
    asked = f"{COMPARISON} {principle.asks_comparison}\n\nConversation:\n{talk}"
    return (user(f"{asked}\n\n(A) {first}\n\n(B) {second}\n\n{_REPLY}"),)


def read_comparison(text: str) -> tuple[str, str, str] | None:
    """The conversation and the two answers of a comparison request; None where the text is none."""
    found = _COMPARED.fullmatch(text)
    return None if found is None else (found["talk"], found["first"], found["second"])


def preference_probability(logps: tuple[float, float], swapped: tuple[float, float]) -> float:
    """How probable the critic finds it that the first answer is better, in [0, 1].

    ``logps`` are the log-probabilities of (A, B) where the first answer is A, ``swapped`` where it is B:
    p = (σ(ℓ_A − ℓ_B) + 1 − σ(ℓ'_A − ℓ'_B)) / 2, so that a critic that merely likes one letter says ½
    (both orders: Lee et al. 2023, arXiv 2309.00267).
    """
    return 0.5 * (_sigmoid(logps[0] - logps[1]) + _sigmoid(swapped[1] - swapped[0]))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def usable(completion: Completion) -> str | None:
    """Why a completion cannot be learnt from, or None: an empty, cut or blocked text is no answer."""
    if completion.outcome not in ("answered", "model-refused"):
        return completion.outcome
    return None if completion.text.strip() else "empty"


@dataclass(frozen=True, kw_only=True)
class Critic:
    """A target in the role of the critic; ``max_tokens`` bounds a critique or a revision."""

    target: Target
    max_tokens: int

    async def say(self, request: Conversation, seed: int) -> Completion:
        """A critique or a revision, drawn at temperature 1 as in the paper."""
        asked = Sampling(max_tokens=self.max_tokens, temperature=1.0, seed=seed)
        return (await self.target.generate(request, asked))[0]

    async def prefers(
        self, prompt: Conversation, first: str, second: str, principle: Principle
    ) -> float | None:
        """The probability that ``first`` is better, asked in both orders; None where the critic did not say.

        From the log-probabilities of A and B where the critic gives them, else from the letters it replies
        with (then 0, ½ or 1).
        """
        orders = (
            comparison_request(prompt, first, second, principle),
            comparison_request(prompt, second, first, principle),
        )
        told = [await self._letters(order) for order in orders]
        if told[0] is None or told[1] is None:
            return None
        return preference_probability(told[0], told[1])

    async def _letters(self, request: Conversation) -> tuple[float, float] | None:
        if Capability.SCORE in self.target.capabilities:
            scores = await self.target.score(request, ("A", "B"))
            return scores[0].logprob, scores[1].logprob
        (reply,) = await self.target.generate(request, Sampling(max_tokens=8))
        found = _LETTER.match(reply.text)
        if found is None:
            return None
        return (0.0, -math.inf) if found[1].upper() == "A" else (-math.inf, 0.0)
