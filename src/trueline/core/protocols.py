"""The nouns of a study as protocols: target, judge, attack, treatment."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .messages import Completion, Prompt, Sampling, Score
from .verdicts import Item


class Capability(StrEnum):
    """What a target can do; a measure, attack or treatment asks for what it needs."""

    GENERATE = "generate"
    RAW_TEXT = "raw text"
    PREFILL = "prefill"
    SCORE = "score"
    LIKELIHOOD = "likelihood of its own answers"
    MOMENTS = "vocabulary moments"
    HIDDEN_STATES = "hidden states"
    GRADIENTS = "gradients"
    INTERVENTIONS = "interventions"


@runtime_checkable
class Target(Protocol):
    """Anything that answers."""

    @property
    def name(self) -> str:
        """A short name for people."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What can be asked of it."""

    def fingerprint(self) -> str:
        """A digest of all that could change its answers."""

    def describe(self) -> Mapping[str, Any]:
        """Provenance for the report: kind, parameters, effective system prompt, template, dtype ... (JSON)."""

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """``sampling.samples`` completions."""

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Log-likelihood of each continuation given the prompt."""


@runtime_checkable
class MomentsTarget(Target, Protocol):
    """A target that sees its whole vocabulary at each token (capability MOMENTS)."""

    async def score_with_moments(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """As ``score``, each Score with its ``moments``, out of the same forward pass."""


class Judge(Protocol):
    """Text to a number in [0, 1], or None with a reason: it never guesses."""

    @property
    def name(self) -> str: ...

    def fingerprint(self) -> str: ...

    async def judge(self, item: Item, completion: Completion) -> "Judgement": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A judge's word: ``value`` in [0, 1], or None with ``reason``; of several judges each one's ``votes``."""

    value: float | None
    reason: str | None = None
    votes: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an attack may spend on one request."""

    queries: int = 1
    seconds: float | None = None
    flops: float | None = None


@runtime_checkable
class RewardModel(Protocol):
    """A number for each of several answers to one prompt, higher is better (of a cost: worse)."""

    def fingerprint(self) -> str:
        """A digest of all that could change its numbers."""

    def __call__(
        self, prompt: Prompt, answers: Sequence[str]
    ) -> Sequence[float] | Awaitable[Sequence[float]]: ...


class Attack(Protocol):
    """Makes attempts at a request; sees the treated target, so it is adaptive."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> frozenset[Capability]: ...

    def fingerprint(self) -> str: ...

    async def attempts(
        self, target: Target, prompt: Prompt, sampling: Sampling, budget: Budget
    ) -> tuple[Completion, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a treatment may use besides the target. ``progress(done, total, words)`` reports long work.

    ``requests`` are harmful and harmless requests, ``forget`` texts to be forgotten and texts to be retained; both
    labelled (``trueline.data.labelled``). ``safety`` are safe answers to harmful requests, to be kept through a
    fine-tune on ``demonstrations``. ``labels`` are answers that are wanted or not, labelled as those are;
    ``rankings`` several answers to a prompt (``trueline.data.rankings``). ``sharded`` cuts what is trained over the
    processes that torchrun started; a treatment that cannot do so refuses.
    """

    workdir: Path
    preferences: Any = None
    demonstrations: Any = None
    requests: Any = None
    forget: Any = None
    safety: Any = None
    labels: Any = None
    rankings: Any = None
    reward: Any = None
    prompts: Any = None
    cost: Any = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    seed: int = 0
    progress: Callable[[int, int, str], None] = lambda done, total, words: None
    sharded: bool = False


class Treatment(Protocol):
    """``apply`` returns a new target; the input target is never changed."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> frozenset[Capability]: ...

    def fingerprint(self) -> str: ...

    def apply(self, target: Target, resources: Resources) -> Target: ...
