"""What decoding-time treatments share: the models that guide a target, named or trained, and the guided target."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability, Resources, Target

from .wrapping import WrappedTarget

if TYPE_CHECKING:
    from trueline.data.preferences import Demonstration
    from trueline.interventions.decoding import Combination
    from trueline.models.local import LocalTarget

TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class GuidedTreatment:
    """The dials of a treatment that combines the target with an expert; methods are subclasses.

    ``expert`` is a folder or hub name of a model with the target's vocabulary, or "trained": the target itself,
    fine-tuned on the data at ``expert_learning_rate`` for ``expert_epochs``.
    """

    expert: str = TRAINED
    expert_learning_rate: float = 2e-5
    expert_epochs: float = 2.0

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.HIDDEN_STATES})
    learns_from: ClassVar[str]
    raw_text: ClassVar[bool] = True  # whether it guides plain text too, or answers alone

    @property
    def roles(self) -> Mapping[str, str]:
        """The guiding models by role, each named or "trained"."""
        return {"expert": self.expert}

    @property
    def targets(self) -> Mapping[str, str]:
        """The models that are named."""
        return {role: model for role, model in self.roles.items() if model != TRAINED}

    @property
    def resources(self) -> tuple[str, ...]:
        """What it takes from the resources."""
        return (self.learns_from,) if TRAINED in self.roles.values() else ()

    def settings(self) -> Mapping[str, Any]:
        """The dials, without those of a training that does not happen."""
        dials = asdict(self)
        if not self.resources:
            dials = {k: v for k, v in dials.items() if k not in ("expert_learning_rate", "expert_epochs")}
        return {"version": self.version, **dials}

    def fingerprint(self) -> str:
        """A digest of the dials (the guiding models' own enter the treated target's)."""
        return fingerprint({"treatment": self.name, **self.settings()})

    def combination(self) -> "Combination":
        """How the models' next-token distributions become one."""
        raise NotImplementedError

    def shown(self, resources: Resources, role: str) -> "Sequence[Demonstration]":
        """The answers that the model of a role is to imitate."""
        raise NotImplementedError

    def apply(self, target: Target, resources: Resources) -> Target:
        """The guided target. Raises InputError without a local model, an expert, or data to train one."""
        from trueline.models.local import LocalTarget

        if not isinstance(target, LocalTarget):
            raise InputError(
                f"{self.name} combines next-token distributions, but {target.name!r} is no local model; give a "
                "transformers folder or a hub name."
            )
        helpers = {role: self._helper(target, resources, role) for role in self.roles}
        return GuidedTarget(target, helpers, self)

    def _helper(self, base: "LocalTarget", resources: Resources, role: str) -> "LocalTarget":
        from trueline.models.local import LocalTarget

        from .sft import SupervisedFineTuning

        found: Target | None = resources.targets.get(role)
        if found is None and self.roles[role] == TRAINED:
            shown = self.shown(resources, role)
            if not shown:
                raise InputError(
                    f"{self.name} trains its {role} on {self.learns_from}, but none were given: give "
                    f"resources.{self.learns_from}, or name a model."
                )
            training = SupervisedFineTuning(
                learning_rate=self.expert_learning_rate, epochs=self.expert_epochs
            )
            found = training.apply(base, replace(resources, demonstrations=shown))
        if not isinstance(found, LocalTarget):
            raise InputError(
                f"{self.name} needs a local model as its {role}: give resources.targets[{role!r}]."
            )
        return found


class GuidedTarget(WrappedTarget):
    """A target that decodes together with other models; its scores are those of what it samples from."""

    def __init__(
        self, base: "LocalTarget", helpers: "Mapping[str, LocalTarget]", treatment: GuidedTreatment
    ) -> None:
        from trueline.interventions.guided import Guide

        prints = {role: helper.fingerprint() for role, helper in helpers.items()}
        settings = {**treatment.settings(), "models": prints}
        super().__init__(
            base,
            treatment=treatment.name,
            settings=settings,
            key=fingerprint([treatment.fingerprint(), prints]),
        )
        self._training = [helper.describe().get("training") for helper in helpers.values()]
        self._raw_text = treatment.raw_text
        self._guide = Guide(base, list(helpers.values()), treatment.combination())

    def describe(self) -> Mapping[str, Any]:
        """The inner target's provenance, the treatment, and what training the guiding models took."""
        told = dict(super().describe())
        costs = [dict(cost) for cost in [told.get("training"), *self._training] if cost]
        if costs:
            told["training"] = {name: sum(cost.get(name, 0) for cost in costs) for name in costs[-1]}
        return told

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """Completions drawn from the combined distribution."""
        guided = self._raw_text or not isinstance(prompt, str)
        return await (self._guide if guided else self.inner).generate(prompt, sampling)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Log-likelihoods under the combined distribution."""
        guided = self._raw_text or not isinstance(prompt, str)
        return await (self._guide if guided else self.inner).score(prompt, continuations)
