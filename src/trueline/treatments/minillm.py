"""MiniLLM: reverse KL to a teacher over whole answers, by policy gradient (Gu et al. 2023, arXiv 2306.08543).

Answers to the prompts of ``resources.demonstrations`` are drawn token by token from α of the teacher and 1 − α of the
target; what a token does at once is learnt exactly over the vocabulary, what it does to later ones by a policy gradient
whose return is divided by their number (training/minillm.py). The given answers are not read. Example: teacher (.5, .5)
and student (.9, .1) at α = .2 are drawn from (.82, .18), so the first token weighs .9/.82 = 1.10, the second .56.
"""

from dataclasses import dataclass
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target

from .distilling import ANSWER_TOKENS, DistillationTreatment


@dataclass(frozen=True, kw_only=True)
class MiniLLM(DistillationTreatment):
    """``teacher_share`` is the paper's α, ``epsilon`` the clip of the ratio to the mixture that was drawn from."""

    learning_rate: float = 5e-6
    teacher_share: float = 0.2
    epsilon: float = 0.2
    max_tokens: int = ANSWER_TOKENS

    name: ClassVar[str] = "minillm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.teacher_share < 1 or not self.epsilon > 0 or self.max_tokens < 1:
            raise InputError(
                f"minillm with teacher_share {self.teacher_share}, epsilon {self.epsilon} and max_tokens "
                f"{self.max_tokens} is not allowed: give a share in [0, 1), an epsilon above 0 and at least 1 token."
            )

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without a teacher, or with one of another tokenizer."""
        from trueline.training.distillation import TeacherDivergence
        from trueline.training.minillm import MiniLLMObjective, TeacherMixedAnswers
        from trueline.training.mixed_generating import MixedGenerator

        lesson = self.lesson(target, resources)
        answers = TeacherMixedAnswers(
            given=lesson.batches(lesson.prepared.examples),
            starts=lesson.starts,
            speech=lesson.codec,
            teacher=lesson.module,
            key=lesson.key,
            max_tokens=self.max_tokens,
            max_length=lesson.config.max_length,
            generator=MixedGenerator(lesson.module, self.teacher_share),
        )
        divergence = TeacherDivergence(lesson.module, key=lesson.key, beta=1.0, temperature=1.0)
        objective = MiniLLMObjective(divergence=divergence, epsilon=self.epsilon)
        return self.learn_own_answers(lesson, answers, objective, resources)
