"""Distillation: the student's next-token distributions drawn to a teacher's (Agarwal et al. 2023, arXiv 2306.13649).

With teacher P, student Q and the mixture M = βP + (1 − β)Q, the generalised Jensen–Shannon divergence (equation 1) is

    D_β = β KL(P ‖ M) + (1 − β) KL(Q ‖ M);   β = 0: KL(P ‖ Q), forward;   β = 1: KL(Q ‖ P), reverse

(the ends are the limits of D_β / β and D_β / (1 − β)). loss = Σ_t w_t D_β(t) / Σ tokens of the step, where w is the
example's ``weight`` (1 where it has none): larger where safety is at stake, the divergence is safety-weighted.
The teacher's last hidden states come with the examples; logits of both exist for a chunk of positions at a time and
are computed again in the backward pass.

Shapes: P positions, V vocabulary, D hidden units of the teacher.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.branches import predicting_states
from trueline.models.forward.heads import Head, in_chunks
from trueline.models.forward.paths import head_of

from .batches import BatchKind, Example, Scored, passes
from .objectives.base import Loss, Scorer, Totals, counts
from .readings import Place, Reading, Seen

TEACHER = "teacher"


def generalized_jsd(student: Tensor, teacher: Tensor, *, beta: float, temperature: float = 1.0) -> Tensor:
    """D_β of each position from logits [P, V]: [P], in nats."""
    q, p = (torch.log_softmax(logits / temperature, dim=-1) for logits in (student, teacher))
    if beta == 0:
        return _kl(p, q)
    if beta == 1:
        return _kl(q, p)
    mixture = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
    return beta * _kl(p, mixture) + (1 - beta) * _kl(q, mixture)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p ‖ q) of log-probabilities [P, V]: [P]."""
    return (p.exp() * (p - q)).sum(-1)


def with_teacher(
    teacher: nn.Module,
    examples: Sequence[Example],
    *,
    token_budget: int,
    progress: Callable[[int, int, str], None] = lambda done, total, words: None,
) -> list[Example]:
    """The examples with the teacher's last hidden states before each token of an answer, [T, D] a branch."""
    place = {id(example): number for number, example in enumerate(examples)}
    found: dict[int, tuple[Tensor, ...]] = {}
    with torch.no_grad():
        for group in passes(examples, token_budget):
            states = predicting_states(teacher, [e.tree for e in group], token_budget=token_budget)
            for example, branches in zip(group, states):
                found[place[id(example)]] = tuple(branch.cpu() for branch in branches)
            progress(len(found), len(examples), "teacher")
    return [replace(e, given={**e.given, TEACHER: found[n]}) for n, e in enumerate(examples)]


class TeacherDivergence:
    """A reading: D_β at each position that predicts a token of an answer."""

    name: ClassVar[str] = "divergence"
    place: ClassVar[Place] = "predicting"
    layers: ClassVar[tuple[int, ...]] = ()

    def __init__(self, teacher: nn.Module, *, key: str, beta: float, temperature: float) -> None:
        self._head: Head = head_of(teacher)
        self._key, self._beta, self._temperature = key, beta, temperature

    def __deepcopy__(self, memo: object) -> "TeacherDivergence":
        return self  # a constant; settings are copied when they are fingerprinted

    def fingerprint(self) -> str:
        """The teacher's."""
        return self._key

    def check(self, model: nn.Module) -> None:
        """The student needs a head over the same vocabulary."""
        student = head_of(model).vocabulary
        if student != self._head.vocabulary:
            raise InputError(
                f"the teacher's vocabulary has {self._head.vocabulary} tokens and the student's {student}: "
                "distillation compares them token by token; give a teacher with the student's tokenizer."
            )

    def read(self, model: nn.Module, seen: Seen, given: Mapping[str, Tensor]) -> Tensor:
        """[P], with gradients to the student."""
        if TEACHER not in given:
            raise InputError("the examples carry no teacher's states; add them with with_teacher first.")
        student = head_of(model)

        def divergence(states: Tensor, taught: Tensor) -> Tensor:
            with torch.no_grad():
                target = self._head(taught)
            logits = student(states)
            return generalized_jsd(logits, target.to(logits), beta=self._beta, temperature=self._temperature)

        chunk = max(1, student.chunk(seen.hidden.device) // 2)
        found: Tensor = in_chunks(divergence, seen.hidden, given[TEACHER], chunk=chunk)
        return found


@dataclass(frozen=True, kw_only=True)
class GKDObjective:
    """Generalised knowledge distillation on given answers, weighted by each example's fact ``weight``."""

    divergence: Any = field(repr=False)  # a TeacherDivergence, which has a fingerprint but no fields
    beta: float
    temperature: float = 1.0

    name: ClassVar[str] = "gkd"
    batch: ClassVar[BatchKind] = "sequences"
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("divergence",)

    @property
    def reads(self) -> tuple[Reading, ...]:
        """The divergence alone."""
        return (self.divergence,)

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answer tokens of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the weighted token mean; the metric is the unweighted one."""
        sums, weights = scored.sums()[:, 0], scored.fact("weight", 1.0)[:, 0]
        return Loss(
            value=(weights * sums).sum() / totals["tokens"],
            metrics={"divergence": sums.detach().sum() / totals["tokens"]},
        )
