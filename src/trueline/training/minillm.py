"""MiniLLM: reverse KL to a teacher by policy gradient (Gu et al. 2023, arXiv 2306.08543, section 2.2 and algorithm 1).

For answers y drawn from p̃ = α p + (1 − α) q (teacher p, student q), with w_t = q/p̃ of token t when it was drawn and
ρ_t = q_θ/p̃ now,

    loss = 1/N Σ_t [ w_t KL(q_θ ‖ p)_t − min(ρ_t R_t, clip(ρ_t, 1 − ε, 1 + ε) R_t) ]
    R_t = mean over t' > t of log p(y_t')/q(y_t');  0 at the last token

The gradient of reverse KL over whole answers splits into what a token does at once, an exact sum over the vocabulary
(single-step decomposition, equation 3), and what it does to the tokens after it, a policy gradient whose return is
divided by their number (length normalisation; equation 6 writes T − t − 1 for these T − t tokens, which divides by 0
at the last but one). w_t alone stands for the product of all earlier ratios (equation 5). The likelihood of a
pre-training text, which the paper adds, is left out.

The authors' code differs from their paper: its return includes the token itself, is whitened over the batch, and its
KL term has no w. trl had a MiniLLM of its own (return from the token itself, no w), which 1.16 has no more.

Legend: T tokens of an answer, N tokens of the step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from trueline.models.sampling.jobs import Draw
from trueline.training.dials import above_zero

from .batches import BatchKind, Example, Scored
from .flops import forward_flops
from .groups import OLD
from .mixed_generating import MixedGenerator
from .objectives.base import Loss, Scorer, Totals, counts
from .objectives.policy_gradient import clipped_share, clipped_surrogate
from .readings import LOGPS, Reading
from .student_answers import StudentAnswers

FUTURE, IMPORTANCE = "future", "importance"


def future_returns(ratios: Tensor) -> Tensor:
    """R_t from log p/q of each token: the mean of those after it. [T] in, [T] out."""
    after = ratios.flip(0).cumsum(0).flip(0) - ratios
    count = torch.arange(len(ratios) - 1, -1, -1, dtype=ratios.dtype)
    return after / count.clamp(min=1)


@dataclass(kw_only=True, eq=False)
class TeacherMixedAnswers(StudentAnswers):
    """Answers of teacher and student together, with the returns of their tokens."""

    generator: MixedGenerator

    def drawing_flops(self, made: Sequence[Example]) -> float:
        """A pass of the student for drawing, of the teacher where it draws too, and one of each for the returns."""
        trees = [example.tree for example in made]
        student, teacher = (forward_flops(size, trees) for size in self._sizes)
        return 2 * student + (1 + self.generator.teacher_draws) * teacher

    def dressed(self, made: list[Example], draws: Sequence[Draw]) -> list[Example]:
        """With log p̃, w and R of each token."""
        student = self._forward.fixed(self._model, made, (LOGPS,))[LOGPS.name]
        teacher = self._forward.fixed(self.teacher, made, (LOGPS,))[LOGPS.name]
        gaps = [(p - q).double() for (p,), (q,) in zip(teacher, student)]
        self._figures["reverse_kl"] = float(-sum(gap.sum() for gap in gaps)) / len(gaps)
        dressed = []
        for example, draw, (q,), gap in zip(made, draws, student, gaps):
            behaviour = torch.tensor(draw.logprobs)
            given = {
                OLD: (behaviour,),
                IMPORTANCE: ((q - behaviour).exp(),),
                FUTURE: (future_returns(gap).float(),),
            }
            dressed.append(replace(example, given={**example.given, **given}))
        return dressed


@dataclass(frozen=True, kw_only=True)
class MiniLLMObjective:
    """``divergence`` reads KL(q ‖ p) at each token; ``epsilon`` clips the ratio."""

    divergence: Any = field(repr=False)  # a TeacherDivergence at β = 1
    epsilon: float = 0.2

    name: ClassVar[str] = "minillm"
    batch: ClassVar[BatchKind] = "sequences"
    reference: ClassVar[bool] = False
    dropout: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("divergence", "clipped")

    def __post_init__(self) -> None:
        above_zero(self.name, epsilon=self.epsilon)

    @property
    def reads(self) -> tuple[Reading, ...]:
        """The divergence and log-probabilities."""
        return (self.divergence, LOGPS)

    def totals(self, examples: Sequence[Example], score: Scorer) -> Totals:
        """Answer tokens of the step."""
        return counts(examples)

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """This pass's share of the token mean."""
        tokens, divergence = totals["tokens"], scored.flat()
        log_ratios = scored.flat(LOGPS.name) - scored.given(OLD)
        returns = scored.given(FUTURE)
        gains = clipped_surrogate(log_ratios, returns, low=self.epsilon, high=self.epsilon)
        cut = clipped_share(log_ratios.detach(), returns, low=self.epsilon, high=self.epsilon)
        return Loss(
            value=(scored.given(IMPORTANCE) * divergence - gains).sum() / tokens,
            metrics={"divergence": divergence.detach().sum() / tokens, "clipped": cut.sum() / tokens},
        )
