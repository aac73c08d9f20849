"""What a sampler is asked and what it answers: jobs, draws, limits, counts, and when a sample has ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from trueline.core.errors import InputError
from trueline.core.messages import Sampling

from .noise import Stream, StreamKey

Finish = Literal["stop", "length"]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One request: ``sampling.samples`` continuations of a tokenised prompt.

    ``limit`` is the most tokens that may be generated (max_tokens, or less where the context window ends);
    ``abandoned`` says that nobody waits for the answer any more.
    """

    prompt: tuple[int, ...]
    sampling: Sampling
    stream: StreamKey
    limit: int
    abandoned: Callable[[], bool] = _never


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One continuation: its tokens (the end token included), their log-probabilities, and why it ended."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much runs at once: ``slots`` samples in the running batch, ``prefill_tokens`` prompt tokens in one
    pass, and ``cache_bytes`` of keys and values (one job always runs, even if it alone takes more)."""

    slots: int = 256
    prefill_tokens: int = 2048
    cache_bytes: int = 2**30


@dataclass(slots=True)
class Counts:
    """Tokens computed so far: of prompts, drawn, and rows times steps (what the drawn ones cost)."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    row_steps: int = 0


@dataclass(slots=True, eq=False)
class Running:
    """A job under way: ``group`` is its row of prompts, ``first_logits`` [V] those after its prompt."""

    job: Job
    draws: list[Draw | None]
    started: int = 0
    group: int = -1
    first_logits: Tensor | None = None

    @classmethod
    def of(cls, job: Job) -> "Running":
        """A job that is about to start."""
        return cls(job=job, draws=[None] * job.sampling.samples)

    @property
    def waiting(self) -> int:
        """Samples that have not started."""
        return len(self.draws) - self.started

    @property
    def finished(self) -> tuple[Draw, ...] | None:
        """All draws, once the last is there."""
        draws = tuple(draw for draw in self.draws if draw is not None)
        return draws if len(draws) == len(self.draws) else None


@dataclass(slots=True, eq=False)
class Slot:
    """One sample under way."""

    running: Running
    sample: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stream: Stream | None = None

    def end(self, finish: Finish) -> None:
        """Hand the draw to its job."""
        self.running.draws[self.sample] = Draw(
            tokens=tuple(self.tokens), logprobs=tuple(self.logprobs), finish=finish
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a sample has ended: an end token, a stop string, or its limit."""

    end_tokens: frozenset[int]
    decode: Callable[[Sequence[int]], str]

    def of(self, slot: Slot) -> Finish | None:
        """How the sample has ended, or None."""
        job = slot.running.job
        if slot.tokens[-1] in self.end_tokens:
            return "stop"
        if stops := job.sampling.stop:
            # A token is at least a byte, so a stop string that is complete now lies within this tail.
            tail = self.decode(slot.tokens[-1 - max(len(stop.encode()) for stop in stops) :])
            if any(stop in tail for stop in stops):
                return "stop"
        return "length" if len(slot.tokens) >= job.limit else None


def check_sampling(sampling: Sampling) -> None:
    """InputError for a setting outside its range."""
    if sampling.max_tokens < 1 or sampling.samples < 1:
        raise InputError(
            f"max_tokens={sampling.max_tokens} and samples={sampling.samples}: both must be at least 1."
        )
    if not 0 <= sampling.temperature < float("inf"):
        raise InputError(
            f"temperature {sampling.temperature} is not allowed; give 0 (greedy) or a positive number."
        )
    if not 0 < sampling.top_p <= 1:
        raise InputError(f"top_p {sampling.top_p} is not allowed; give a number above 0 and at most 1.")
    if "" in sampling.stop:
        raise InputError("an empty stop string would end every answer at once; leave it out.")
