"""Distillation that keeps safety (GKD: Agarwal et al. 2023, arXiv 2306.13649).

The target learns a teacher's whole next-token distributions by the generalised Jensen–Shannon divergence
(training/distillation.py), at the tokens of ``resources.demonstrations`` and, in a share λ of the steps, at those of
answers that it draws itself. β = 0 is forward and β = 1 reverse KL. Demonstrations whose ``meta`` says ``harmful:
true``, and own answers to their prompts, weigh ``safety_weight`` times as much. Example: teacher (.5, .5) and student
(.9, .1) on two tokens at β = 0: .5 log(.5/.9) + .5 log(.5/.1) = .511 nats.
"""

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target
from trueline.training.budget import Spent

from .distilling import ANSWER_TOKENS, DistillationTreatment
from .trained import train_copy


@dataclass(frozen=True, kw_only=True)
class GeneralizedKnowledgeDistillation(DistillationTreatment):
    """``student_share`` is the paper's λ, the share of steps on the target's own answers of up to ``max_tokens`` tokens
    (64 where left out); at 0 only given answers are learnt."""

    beta: float = 0.5
    temperature: float = 1.0
    student_share: float = 0.0
    max_tokens: int | None = None
    safety_weight: float = 1.0

    name: ClassVar[str] = "gkd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.beta <= 1 and 0 <= self.student_share <= 1):
            raise InputError(
                f"gkd with beta {self.beta} and student_share {self.student_share} is not allowed: give numbers from "
                "0 to 1."
            )
        if not (self.temperature > 0 and self.safety_weight > 0):
            raise InputError("gkd needs a temperature and a safety_weight above 0.")
        if self.max_tokens is not None and (self.max_tokens < 1 or self.student_share == 0):
            raise InputError(
                f"max_tokens {self.max_tokens} is not allowed: give at least 1 and a student_share above 0, or leave "
                "it out."
            )

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without a teacher, or with one of another tokenizer."""
        from trueline.training.distillation import GKDObjective, TeacherDivergence, with_teacher
        from trueline.training.flops import forward_flops, model_size
        from trueline.training.student_answers import StudentAnswers

        from .copies import fresh_model

        lesson = self.lesson(target, resources)
        if self.safety_weight != 1 and not any(row.meta.get("harmful") for row in lesson.data):
            raise InputError(
                f"safety_weight {self.safety_weight} weighs demonstrations that say harmful: true, but none of the "
                f"{len(lesson.data)} does: mark them, or leave it out."
            )
        weighed = [
            replace(
                example,
                facts={
                    "weight": (self.safety_weight if lesson.data[example.index].meta.get("harmful") else 1.0,)
                },
            )
            for example in lesson.prepared.examples
        ]
        divergence = TeacherDivergence(
            lesson.module, key=lesson.key, beta=self.beta, temperature=self.temperature
        )
        objective = GKDObjective(divergence=divergence, beta=self.beta, temperature=self.temperature)
        config = lesson.config
        if self.student_share > 0:
            answers = StudentAnswers(
                given=lesson.batches(weighed),
                starts=lesson.starts,
                speech=lesson.codec,
                teacher=lesson.module,
                key=lesson.key,
                share=self.student_share,
                max_tokens=self.max_tokens or ANSWER_TOKENS,
                max_length=config.max_length,
            )
            return self.learn_own_answers(lesson, answers, objective, resources)
        started = time.perf_counter()
        taught = with_teacher(
            lesson.module, weighed, token_budget=config.pass_tokens("cpu"), progress=resources.progress
        )
        flops = forward_flops(model_size(lesson.module), [example.tree for example in taught])
        folder, manifest = train_copy(
            lesson.base,
            replace(lesson.prepared, examples=taught),
            objective=objective,
            config=config,
            treatment={**self.settings(), "teacher": lesson.key},
            resources=resources,
            build=lambda: fresh_model(lesson.base),
            spent=Spent(flops=flops, seconds=time.perf_counter() - started),
        )
        return self.learnt(lesson, folder, manifest)
