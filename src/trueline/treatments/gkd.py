"""Distillation that keeps safety (GKD: Agarwal et al. 2023, arXiv 2306.13649; on given answers, λ = 0).

The target learns a teacher's whole next-token distributions at the tokens of ``resources.demonstrations``, by the
generalised Jensen–Shannon divergence (training/distillation.py). β = 0 is forward and β = 1 reverse KL, the
divergence of MiniLLM (2306.08543), here token by token on given answers, without its policy gradient. Demonstrations
whose ``meta`` says ``harmful: true`` weigh ``safety_weight`` times as much. Example: teacher (.5, .5) and student
(.9, .1) on two tokens at β = 0: .5 log(.5/.9) + .5 log(.5/.1) = .511 nats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target

from .sft import SupervisedFineTuning
from .trained import refuse_sharded, train_copy, within_window


@dataclass(frozen=True, kw_only=True)
class GeneralizedKnowledgeDistillation(SupervisedFineTuning):
    """Learns from ``teacher``: a folder or hub name, or "given" (``resources.targets["teacher"]``)."""

    teacher: str = "given"
    beta: float = 0.5
    temperature: float = 1.0
    safety_weight: float = 1.0

    name: ClassVar[str] = "gkd"
    shards: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta <= 1:
            raise InputError(f"gkd with beta {self.beta} is not allowed: give a number from 0 to 1.")
        if not (self.temperature > 0 and self.safety_weight > 0):
            raise InputError("gkd needs a temperature and a safety_weight above 0.")

    @property
    def targets(self) -> Mapping[str, str]:
        """The teacher, where it is named."""
        return {} if self.teacher == "given" else {"teacher": self.teacher}

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without a teacher, or with one of another tokenizer."""
        from trueline.training.distillation import GKDObjective, TeacherDivergence, with_teacher

        from .copies import codec_of, fresh_model, local, trained_target

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        if not resources.demonstrations:
            raise InputError("gkd learns from demonstrations: give resources.demonstrations.")
        if "teacher" not in resources.targets:
            raise InputError(
                "gkd needs a teacher: name its folder as teacher, or give resources.targets['teacher']."
            )
        teacher = local(resources.targets["teacher"], self.name)
        if teacher.tokenizer.get_vocab() != base.tokenizer.get_vocab():
            raise InputError(
                f"the teacher {teacher.name!r} has another tokenizer than {base.name!r}: distillation compares "
                "distributions token by token; give a teacher with the same tokenizer."
            )
        config = within_window(self.config(resources.seed), base)
        data = tuple(resources.demonstrations)
        prepared = self.prepare(codec_of(base), data, config.max_length)
        weighed = [
            replace(e, facts={"weight": (self.safety_weight if data[e.index].meta.get("harmful") else 1.0,)})
            for e in prepared.examples
        ]
        model = fresh_model(teacher).requires_grad_(False)
        taught = with_teacher(
            model, weighed, token_budget=config.pass_tokens("cpu"), progress=resources.progress
        )
        key = teacher.fingerprint()
        divergence = TeacherDivergence(model, key=key, beta=self.beta, temperature=self.temperature)
        folder, manifest = train_copy(
            base,
            replace(prepared, examples=taught),
            objective=GKDObjective(divergence=divergence, beta=self.beta, temperature=self.temperature),
            config=config,
            treatment={**self.settings(), "teacher": key},
            resources=resources,
            build=lambda: fresh_model(base),
        )
        provenance: dict[str, Any] = {
            "treatment": {**self.settings(), "teacher": teacher.name},
            "training": manifest["training"],
            "data": manifest["data"],
        }
        return trained_target(base, folder, method=self.name, provenance=provenance)
