"""What the engine is asked: requests, and the queue of one module."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .sampling.jobs import Job
from .sources import ModelSource
from .trees import Tree

Kind = Literal["generate", "score", "moments", "call"]
Function = Callable[[Any], Any]


class Intervention(Protocol):
    """Changes what a module computes while it is entered: hooks, edited activations, swapped weights.

    Two interventions of equal ``key`` must do the same; the key enters fingerprints and decides which
    requests may share a batch. Leaving must undo everything.
    """

    @property
    def key(self) -> str:
        """A digest of all its settings."""

    def entered(self, module: Any) -> AbstractContextManager[None]:
        """The context within which the module (a transformers decoder) is changed."""


@dataclass(eq=False, kw_only=True)
class Request:
    """One thing asked of a module; ``future`` gets the draws of a job, the tensors of a tree, or what a
    function returned."""

    source: ModelSource
    kind: Kind
    payload: Job | Tree | Function
    interventions: tuple[Intervention, ...] = ()
    future: Future[Any] = field(default_factory=Future)

    @property
    def group(self) -> tuple[object, ...]:
        """Requests that may run together: same kind and interventions, and as many samples; functions run
        alone.
        """
        alike = self.payload.sampling.samples if isinstance(self.payload, Job) else 0
        if self.kind == "call":
            alike = id(self)
        return (self.kind, tuple(intervention.key for intervention in self.interventions), alike)

    @property
    def length(self) -> int:
        """Tokens, for sorting."""
        if isinstance(self.payload, Job):
            return len(self.payload.prompt)
        if isinstance(self.payload, Tree):
            return len(self.payload.trunk) + sum(map(len, self.payload.branches))
        return 0

    def answer(self, value: Any) -> None:
        """Give the result, unless nobody waits any more."""
        with suppress(InvalidStateError):
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give the error, unless nobody waits any more or the result is there."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


@dataclass(eq=False)
class Lane:
    """One module's queue and its only worker thread. ``passed`` counts the batches of others that ran while
    it was parked without room in memory."""

    source: ModelSource
    waiting: list[Request] = field(default_factory=list)
    busy: bool = False
    passed: int = 0
    worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="trueline-model")
    )

    def forget_abandoned(self) -> None:
        """Drop requests that nobody waits for."""
        self.waiting = [request for request in self.waiting if not request.future.done()]

    def next_batch(self) -> list[Request]:
        """Take out all waiting requests of the oldest one's group, shortest first."""
        group = self.waiting[0].group
        batch = [request for request in self.waiting if request.group == group]
        self.waiting = [request for request in self.waiting if request.group != group]
        return sorted(batch, key=lambda request: request.length)


@contextmanager
def prepared(model: Any, interventions: Sequence[Intervention]) -> Iterator[None]:
    """The module in evaluation mode, under interventions; both undone afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with ExitStack() as stack:
            for intervention in interventions:
                stack.enter_context(intervention.entered(model))
            yield
    finally:
        for module in training:
            module.training = True
