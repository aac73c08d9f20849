"""What distillation treatments share: a teacher of the target's own tokenizer, and training on the target's answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.protocols import Resources, Target

from .sft import SupervisedFineTuning
from .trained import Feed, refuse_sharded, train_folder, within_window

if TYPE_CHECKING:
    from trueline.models.local import LocalTarget
    from trueline.training.batches import Example, SeededBatches
    from trueline.training.codec import ChatCodec
    from trueline.training.config import TrainingConfig
    from trueline.training.data import Prepared
    from trueline.training.objectives.base import Objective
    from trueline.training.student_answers import StudentAnswers

ANSWER_TOKENS = 64  # of a drawn answer, where left out


@dataclass(frozen=True, kw_only=True)
class DistillationTreatment(SupervisedFineTuning):
    """Learns from ``teacher``: a folder or hub name, or "given" (``resources.targets["teacher"]``)."""

    teacher: str = "given"

    shards: ClassVar[bool] = False

    @property
    def targets(self) -> Mapping[str, str]:
        """The teacher, where it is named."""
        return {} if self.teacher == "given" else {"teacher": self.teacher}

    def lesson(self, target: Target, resources: Resources) -> "Lesson":
        """What the method works with. Raises InputError without demonstrations or a teacher, or with one of another
        tokenizer."""
        from .copies import codec_of, fresh_model, local

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        teacher = self._found(base, resources)
        config, codec = within_window(self.config(resources.seed), base), codec_of(base)
        data = tuple(resources.demonstrations)
        return Lesson(
            base=base,
            teacher=teacher,
            # beside the target, which reads its head while it learns
            module=fresh_model(teacher)
            .requires_grad_(False)
            .to(str(base.source.describe()["device"]))
            .eval(),
            config=config,
            codec=codec,
            data=data,
            prepared=self.prepare(codec, data, config.max_length),
        )

    def learn_own_answers(
        self, lesson: "Lesson", answers: "StudentAnswers", objective: "Objective", resources: Resources
    ) -> Target:
        """The target trained on answers that it draws itself."""
        from .copies import fresh_model

        folder, manifest = train_folder(
            lesson.base,
            lambda model: Feed(batches=answers),
            data={
                "digest": answers.fingerprint(),
                "examples": len(lesson.prepared.examples),
                "left out": lesson.prepared.too_long,
            },
            objective=objective,
            config=lesson.config,
            treatment={**self.settings(), "teacher": lesson.key},
            resources=resources,
            build=lambda: fresh_model(lesson.base),
        )
        return self.learnt(lesson, folder, manifest)

    def learnt(self, lesson: "Lesson", folder: Path, manifest: Mapping[str, Any]) -> Target:
        """The trained folder as a target."""
        from .copies import trained_target

        provenance = {
            "treatment": {**self.settings(), "teacher": lesson.teacher.name},
            "training": manifest["training"],
            "data": manifest["data"],
        }
        return trained_target(lesson.base, folder, method=self.name, provenance=provenance)

    def _found(self, base: "LocalTarget", resources: Resources) -> "LocalTarget":
        from .copies import local

        if not resources.demonstrations:
            raise InputError(f"{self.name} learns from demonstrations: give resources.demonstrations.")
        if "teacher" not in resources.targets:
            raise InputError(
                f"{self.name} needs a teacher: name its folder (teacher: FOLDER in a study file, --set "
                "teacher=FOLDER), or give resources.targets['teacher']."
            )
        teacher = local(resources.targets["teacher"], self.name)
        if teacher.tokenizer.get_vocab() != base.tokenizer.get_vocab():
            raise InputError(
                f"the teacher {teacher.name!r} has another tokenizer than {base.name!r}: distillation compares "
                "distributions token by token; give a teacher with the same tokenizer."
            )
        return teacher


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """The target, its teacher with the ``module`` that is read, and the demonstrations as ``prepared`` examples."""

    base: "LocalTarget"
    teacher: "LocalTarget"
    module: Any
    config: "TrainingConfig"
    codec: "ChatCodec"
    data: Sequence[Any]
    prepared: "Prepared"

    @cached_property
    def key(self) -> str:
        """The teacher's fingerprint."""
        return self.teacher.fingerprint()

    def batches(self, examples: "Sequence[Example]") -> "SeededBatches":
        """Examples in their order."""
        from trueline.training.batches import SeededBatches

        return SeededBatches(
            kind="sequences",
            examples=examples,
            batch_size=self.config.batch_size,
            epochs=self.config.epochs,
            limit=self.config.steps,
            seed=self.config.seed,
        )

    @property
    def starts(self) -> dict[int, tuple[int, ...]]:
        """The tokens of each example's prompt, from which an answer is drawn, by its index."""
        return {e.index: self.codec.start(self.data[e.index].prompt) for e in self.prepared.examples}
