"""Who draws a rollout's answers: the module that is being trained, by the shared-prefix sampler, with no copy."""

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from trueline.core.messages import Prompt, Sampling
from trueline.models.sampling.jobs import Draw, Job
from trueline.models.sampling.noise import stream_key
from trueline.models.sampling.sampler import Sampler

from .codec import Speech
from .scoring import Forward


def draw_job(
    start: tuple[int, ...],
    *,
    seed: int,
    samples: int,
    max_tokens: int,
    stops: tuple[str, ...],
    key: Prompt = "",
) -> Job:
    """A request for ``samples`` answers at temperature 1, or for the greedy one (0 samples), to tokens; ``key`` is the
    prompt that, with the seed, is the answers' random stream."""
    sampling = Sampling(
        max_tokens=max_tokens,
        temperature=1.0 if samples else 0.0,
        samples=samples or 1,
        seed=seed,
        stop=stops,
    )
    return Job(prompt=start, sampling=sampling, stream=stream_key(seed, key), limit=max_tokens)


class Generator(Protocol):
    """Draws answers from the policy as it stands."""

    @property
    def exact(self) -> bool:
        """Whether the log-probabilities it gives are the trainer's own, so that they need no second pass."""

    def fingerprint(self) -> str:
        """A digest of what could change its draws."""

    def begin(self, model: nn.Module, speech: Speech, forward: Forward) -> None:
        """Before the first rollout, with the module that is being trained."""

    def sync_weights(self) -> None:
        """Before each rollout: take over the weights of the module that is being trained."""

    def draw(self, jobs: Sequence[Job]) -> list[tuple[Draw, ...]]:
        """The draws of each job, in the order given."""


class ModuleGenerator:
    """The module itself. Its weights are always the newest, so there is nothing to take over."""

    def __init__(self) -> None:
        self._sampler: Sampler | None = None
        self._model: nn.Module | None = None
        self._forward: Forward | None = None

    @property
    def exact(self) -> bool:
        """In fp32: under autocast sampler and trainer round differently."""
        return self._forward is not None and self._forward.precision == "fp32"

    def fingerprint(self) -> str:
        """The sampler has no settings."""
        return "module"

    def begin(self, model: nn.Module, speech: Speech, forward: Forward) -> None:
        """Look at how the module can be sampled from."""
        self._model, self._forward = model, forward
        self._sampler = Sampler(model, end_tokens=speech.end_tokens, decode=speech.decode)

    def sync_weights(self) -> None:
        """Nothing to do."""

    def draw(self, jobs: Sequence[Job]) -> list[tuple[Draw, ...]]:
        """Draws in evaluation mode, in the run's precision."""
        assert self._sampler is not None and self._model is not None and self._forward is not None
        training = self._model.training
        self._model.eval()
        with self._forward.autocast():
            draws = self._sampler.draw(jobs)
        self._model.train(training)
        return draws
