"""What an objective is: the kind of batch, what it needs, a pre-pass over the whole step, and a loss.

A loss is computed a forward pass at a time, but belongs to the whole optimiser step. So ``totals`` first sees
all the step's examples and returns *additive* numbers (the loop sums them over processes), and ``loss``
returns its pass's share, already divided by those totals: shares add up to the loss of the step, however it
is split. 8×1 = 4×2 = 1×8.

An objective may have two more members: ``frozen``, a name and a reading of the model before training that its examples
carry; and ``at(done)``, the objective of the step that ends at this share (0, 1] of the run, where its terms change
over it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from trueline.models.trees import Tree
from trueline.training.batches import BatchKind, Example, Scored
from trueline.training.readings import Reading

Totals = Mapping[str, float]
# the policy's log-probabilities, per tree and branch [T], without gradients, for a pre-pass that needs them
# (KTO's baseline)
Scorer = Callable[[Sequence[Tree]], list[list[Tensor]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One pass's share of the loss (a scalar) and of the metrics (scalars without gradients)."""

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """A loss with what it declares; instances are frozen dataclasses of the paper's hyper-parameters."""

    @property
    def name(self) -> str: ...

    @property
    def batch(self) -> BatchKind:
        """What an example is."""

    @property
    def reads(self) -> tuple[Reading, ...]:
        """What is read from the network, in one forward pass (training/readings.py)."""

    @property
    def reference(self) -> bool:
        """Whether examples must carry the reference model's log-probabilities."""

    @property
    def dropout(self) -> bool:
        """Whether the model's own dropout stays on; never where log-probabilities are compared."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that ``loss`` gives besides the loss itself."""

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Additive numbers over (this process's part of) the whole optimiser step, without gradients."""

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share."""


def counts(examples: Sequence[Example]) -> dict[str, float]:
    """Examples and answer tokens: the totals that most objectives divide by."""
    return {"examples": float(len(examples)), "tokens": float(sum(e.answer_tokens for e in examples))}
