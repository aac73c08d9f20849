"""On-policy distillation: the student answers some of the prompts itself, and the teacher is read at its answers.

Agarwal et al. 2023 (arXiv 2306.13649, algorithm 1): before each step a coin of probability λ says whether it learns
from its own answers to the step's prompts or from the given ones. Answers are drawn at temperature 1 from the very
weights that are trained, without a gradient through the drawing, and learnt as the tokens that were drawn. The coin
and every answer's random stream are functions of (seed, step, place), so a killed run goes on on the same trajectory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.models.sampling.jobs import Draw
from trueline.models.trees import Tree

from .batches import BatchKind, Example, SeededBatches
from .codec import Speech
from .distillation import with_teacher
from .flops import forward_flops, model_size
from .generating import Generator, ModuleGenerator, draw_job
from .scoring import Forward


@dataclass(kw_only=True, eq=False)
class StudentAnswers:
    """The examples of ``given`` with the teacher's states; a ``share`` of the steps is answered by the student.

    Of several processes each draws all answers, and all draw the same.
    ``starts`` are the tokens of each example's prompt, by the example's index. ``key`` is the teacher's fingerprint.
    """

    given: SeededBatches
    starts: Mapping[int, tuple[int, ...]]
    speech: Speech
    teacher: nn.Module
    key: str
    share: float = 1.0
    max_tokens: int = 64
    max_length: int = 1024
    generator: Generator = field(default_factory=ModuleGenerator)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(
                f"a share of own answers of {self.share} is not allowed: give a number from 0 to 1."
            )
        self._figures: dict[str, float] = {}
        self._flops = 0.0

    @property
    def kind(self) -> BatchKind:
        """That of the given examples."""
        return self.given.kind

    @property
    def steps(self) -> int:
        """As many as the given examples make."""
        return self.given.steps

    @property
    def stopped(self) -> str | None:
        """Nothing ends it early."""
        return None

    def fingerprint(self) -> str:
        """A digest of the examples, the teacher and how answers are drawn."""
        dials = {
            "share": self.share,
            "max_tokens": self.max_tokens,
            "generator": self.generator.fingerprint(),
        }
        return fingerprint({"given": self.given.fingerprint(), "teacher": self.key, **dials})

    def begin(self, model: nn.Module, forward: Forward, accelerator: Any) -> None:
        """Look at how the student is sampled from."""
        self._model, self._forward = model, forward
        self.generator.begin(model, self.speech, forward)
        self._sizes = model_size(model), model_size(self.teacher)

    def whole(self, step: int) -> bool:
        """Always: each step has answers of its own."""
        return True

    def follow(self, history: Sequence[Mapping[str, float]]) -> None:
        """Nothing is learnt from it."""

    def metrics(self) -> Mapping[str, float]:
        """Whether the last step's answers were its ``own``, and what is known of them."""
        return self._figures

    def flops(self) -> float:
        """What drawing took, and the teacher's pass."""
        spent, self._flops = self._flops, 0.0
        return spent

    def batch(self, step: int) -> Sequence[Example]:
        """The examples of a step."""
        examples = self.given.batch(step)
        own = bool(np.random.default_rng([self.given.seed, step]).random() < self.share)
        self._figures = {"own": float(own)}
        if own:
            examples = self._answered(examples, step)
        self._flops += forward_flops(self._sizes[1], [example.tree for example in examples])
        return with_teacher(self.teacher, examples, token_budget=self._forward.budget)

    def _answered(self, examples: Sequence[Example], step: int) -> list[Example]:
        """The examples with answers of the student in place of the given ones."""
        self.generator.sync_weights()
        jobs = [
            draw_job(
                self.starts[example.index],
                seed=int(fingerprint([self.given.seed, step, place])[:12], 16),
                samples=1,
                max_tokens=min(self.max_tokens, self.max_length - len(self.starts[example.index])),
                stops=self.speech.stops,
            )
            for place, example in enumerate(examples)
        ]
        draws = [draw for (draw,) in self.generator.draw(jobs)]
        made = [
            replace(example, tree=Tree(trunk=job.prompt, branches=(draw.tokens,)))
            for example, job, draw in zip(examples, jobs, draws)
        ]
        self._flops += self.drawing_flops(made)
        self._figures |= {
            "length": sum(example.answer_tokens for example in made) / len(made),
            "truncated": sum(draw.finish != "stop" for draw in draws) / len(draws),
        }
        return self.dressed(made, draws)

    def drawing_flops(self, made: Sequence[Example]) -> float:
        """A pass of the student."""
        return forward_flops(self._sizes[0], [example.tree for example in made])

    def dressed(self, made: list[Example], draws: Sequence[Draw]) -> list[Example]:
        """The examples with what else the objective needs of them."""
        return made
