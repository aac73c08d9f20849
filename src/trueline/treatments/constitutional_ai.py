"""Constitutional AI (Bai et al. 2022, arXiv 2212.08073): a critic and a written constitution replace labels.

1. The target answers each prompt; the critic criticises and revises the answer ``revisions`` times, each time
   under a principle drawn from the constitution (section 3.1).
2. Supervised fine-tuning on the revisions of every step (section 3.2).
3. The fine-tuned model draws two answers to each prompt; the critic says which keeps a drawn principle
   better (section 4.1); any preference method learns that. The paper trains a preference model and uses PPO
   here; DPO is ours, and the usual choice today.

Example: "How do I pick a lock to rob a house?" → "Take a tension wrench …" → critique "It helps to break in."
→ revision "I won't help with a burglary. If you are locked out yourself, call a locksmith."
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.building import build
from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation
from trueline.core.protocols import Capability, Resources, Target
from trueline.training.budget import ComputeBudget, Spent, budget_of

from .ai_feedback import Feedback, agreement, each, preferred_pairs, reasons, revised_demonstrations
from .constitution import read_constitution
from .critic import Critic
from .feedback_costs import comparing_flops, revising_flops
from .kept_lines import KeptLines
from .sft import SupervisedFineTuning
from .trained import TrainedTreatment, refuse_sharded, training_of
from .waiting import wait_for

if TYPE_CHECKING:
    from .copies import TrainedTarget

REVISIONS, PREFERENCES = "revisions.jsonl", "preferences.jsonl"
SUPERVISED_SHARE = 0.5  # of what the revisions leave of a budget, where AI preferences follow


@dataclass(frozen=True, kw_only=True)
class ConstitutionalAI:
    """Learns from the critic's revisions of the target's own answers, then from its preferences.

    Only the prompts of ``resources.demonstrations`` are used, never their answers. ``constitution`` is a file
    (constitution.py), the package's own where left out. ``critic`` is "self", "given"
    (``resources.targets["critic"]``), or a model: a folder, a hub name, ``openai:NAME@BASE_URL``, and on the
    testbed ``scripted:RATE``, a critic with that error rate. ``supervised`` and ``preference_settings`` are
    the dials of the two trainings; ``preference`` names the second's method, or is "none". Where
    ``resources.reward`` is given, the share of AI preferences that agree with it is reported; it is never
    learnt from. Under ``resources.workdir`` the critic's words are kept, line by line, and never made twice.
    ``budget`` is {"flops": n} or {"tokens": n}, and all stages share it: drawing answers comes off first, and the
    words of a critic that is a local model; half of what is left is for the first training, the rest for the pairs
    and the second. A critic elsewhere is an annotator, whose computing is not counted.
    """

    constitution: str = ""
    critic: str = "self"
    revisions: int = 4
    answer_tokens: int = 256
    critic_tokens: int = 256
    supervised: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 1.0})
    preference: str = "dpo"
    preference_settings: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, float] | None = None

    name: ClassVar[str] = "constitutional_ai"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE, Capability.GRADIENTS})
    resources: ClassVar[tuple[str, ...]] = ("demonstrations", "reward")
    prompts_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("revisions", "answer_tokens", "critic_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"constitutional_ai with {name} {getattr(self, name)}: give at least 1.")
        if self.preference == "none" and self.preference_settings:
            raise InputError(
                "preference_settings were given with preference 'none': name a method, or leave them out."
            )
        read_constitution(self.constitution)
        self._check_budget()
        self._supervised()
        self._preference()

    @property
    def targets(self) -> Mapping[str, str]:
        """Models to be opened as ``resources.targets``, by role."""
        return {} if self.critic in ("self", "given") else {"critic": self.critic}

    def settings(self) -> dict[str, Any]:
        """Name, version, dials, and the digest of the constitution's wording."""
        words = read_constitution(self.constitution).fingerprint()
        return {"name": self.name, "version": self.version, **asdict(self), "constitution": words}

    def fingerprint(self) -> str:
        """A digest of the dials and of the constitution's wording."""
        return fingerprint(self.settings())

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target that learnt from the critic. Raises InputError without prompts, or without a critic."""
        from .copies import local

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        if not resources.demonstrations:
            raise InputError(
                f"{self.name} needs prompts, but none were given: give resources.demonstrations."
            )
        prompts = tuple(shown.prompt for shown in resources.demonstrations)
        run = _Run(
            treatment=self,
            base=base,
            resources=resources,
            prompts=prompts,
            critic=self._critic(base, resources),
        )
        return run.finish()

    def _critic(self, target: Target, resources: Resources) -> Target:
        if self.critic == "self":
            return target
        if "critic" not in resources.targets:
            raise InputError(
                f"{self.name} with critic {self.critic!r} needs it: give resources.targets['critic']."
            )
        return resources.targets["critic"]

    def _check_budget(self) -> None:
        if self.budget is None:
            return
        if budget_of(self.budget).currency == "seconds":
            raise InputError(
                "constitutional_ai with a budget in seconds is not supported: kept lines cost none when it is "
                "resumed; give flops or tokens."
            )
        for option in ("supervised", "preference_settings"):
            if "budget" in getattr(self, option):
                raise InputError(
                    f"a budget was given for all of constitutional_ai and one in {option}: all stages share the "
                    "first; leave the other out."
                )

    def _supervised(self) -> SupervisedFineTuning:
        built: SupervisedFineTuning = _built(SupervisedFineTuning, "supervised", self.supervised)
        return built

    def _preference(self) -> TrainedTreatment | None:
        if self.preference == "none":
            return None
        kind = preference_method(self.preference)
        built: TrainedTreatment = _built(kind, "preference_settings", self.preference_settings)
        return built


def preference_method(name: str) -> type[TrainedTreatment]:
    """The treatment of this name that learns from pairs (treatments/NAME.py)."""
    module = f"{__package__}.{name}"
    try:
        found: list[Any] = list(vars(import_module(module)).values())
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        found = []
    methods = [k for k in found if isinstance(k, type) and issubclass(k, TrainedTreatment)]
    for kind in methods:
        if getattr(kind, "name", "") == name and kind.resources == ("preferences",):
            return kind
    raise InputError(
        f"preference {name!r} is no method that learns from pairs: give dpo or another such treatment, or none."
    )


def _built(kind: type[Any], option: str, settings: Mapping[str, Any]) -> Any:
    try:
        return build("treatment", kind.name, kind, settings)
    except InputError as error:
        raise InputError(f"{option} do not fit: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One application: the folder is named by a digest of all that its lines depend on."""

    treatment: ConstitutionalAI
    base: Any
    resources: Resources
    prompts: Sequence[Conversation]
    critic: Target

    def finish(self) -> Target:
        """All stages, each going on from where it was left."""
        treatment, resources = self.treatment, self.resources
        about = self._about()
        folder = resources.workdir / f"{treatment.name}-{fingerprint(about)[:16]}"
        rows = wait_for(
            each(
                KeptLines(folder / REVISIONS, about), self.prompts,
                lambda prompt, n: self._feedback.revise(self.base, prompt, n, treatment.revisions),
                resources.progress, "revisions",
            )
        )  # fmt: skip
        steps = [step for row in rows for step in row["steps"]]
        told: dict[str, Any] = {
            "folder": str(folder), "critic": self.critic.name, "prompts": len(rows),
            "revisions": len(revised_demonstrations(rows)), "not used": reasons([*rows, *steps]),
        }  # fmt: skip
        shown = revised_demonstrations(rows)
        if not shown:
            raise InputError(
                f"the critic gave no usable revision ({told['not used']}); look into {folder / REVISIONS}."
            )
        drawn = Spent(flops=revising_flops(self._feedback, self.base, rows, self.prompts))
        method = treatment._preference()
        part = self._left(drawn, "the revisions", share=1.0 if method is None else SUPERVISED_SHARE)
        learnt = replace(treatment._supervised(), **part).apply(
            self.base, replace(resources, demonstrations=shown)
        )
        if method is None:
            return self._named([learnt], drawn, told)
        pairs, comparing = self._pairs(learnt, folder, told)
        drawn += comparing
        part = self._left(drawn + training_of(learnt), "the revisions, the first training and the pairs")
        second = replace(method, **part).apply(learnt, replace(resources, preferences=pairs))
        return self._named([learnt, second], drawn, told)

    def _left(self, spent: Spent, what: str, share: float = 1.0) -> dict[str, Any]:
        """The budget of the next training as its parameter; InputError where nothing is left."""
        if self.treatment.budget is None:
            return {}
        budget: ComputeBudget = budget_of(self.treatment.budget)
        left = budget.amount - spent.of_currency(budget.currency)
        if left <= 0:
            raise InputError(
                f"a budget of {budget.amount:g} {budget.currency} leaves nothing to train with: {what} took "
                f"{spent.of_currency(budget.currency):g}; give more, or fewer prompts."
            )
        return {"budget": {budget.currency: share * left}}

    @property
    def _feedback(self) -> Feedback:
        return Feedback(
            constitution=read_constitution(self.treatment.constitution),
            critic=Critic(target=self.critic, max_tokens=self.treatment.critic_tokens),
            seed=self.resources.seed,
            answer_tokens=self.treatment.answer_tokens,
        )

    def _about(self) -> dict[str, Any]:
        treatment = self.treatment
        return {
            "treatment": treatment.name, "version": treatment.version, "seed": self.resources.seed,
            "target": self.base.fingerprint(), "critic": self.critic.fingerprint(),
            "constitution": read_constitution(treatment.constitution).fingerprint(),
            "prompts": fingerprint([[asdict(message) for message in prompt] for prompt in self.prompts]),
            "revisions": treatment.revisions, "answer_tokens": treatment.answer_tokens,
            "critic_tokens": treatment.critic_tokens,
        }  # fmt: skip

    def _pairs(self, learnt: Any, folder: Any, told: dict[str, Any]) -> tuple[Sequence[Any], Spent]:
        """The critic's preferences, and what drawing and comparing took."""
        # which model the pairs are drawn from depends on the first training's dials
        key = learnt.fingerprint()[:16]
        lines = KeptLines(
            folder / f"{key}-{PREFERENCES}", {**self._about(), "drawn from": learnt.fingerprint()}
        )
        rows = wait_for(
            each(
                lines, self.prompts, lambda prompt, n: self._feedback.compare(learnt, prompt, n),
                self.resources.progress, "AI preferences",
            )
        )  # fmt: skip
        pairs = preferred_pairs(rows)
        told["AI preferences"] = {"pairs": len(pairs), "not used": reasons(rows)}
        if not pairs:
            raise InputError(
                f"the critic told no two answers apart ({reasons(rows)}); look into {lines.file}, or set "
                "preference to none."
            )
        if self.resources.reward is not None:
            told["AI preferences"]["agreement with the reward"] = wait_for(
                agreement(pairs, self.resources.reward)
            )
        return pairs, Spent(flops=comparing_flops(self._feedback, learnt, rows, self.prompts))

    def _named(self, stages: Sequence[Any], drawn: Spent, told: Mapping[str, Any]) -> Target:
        """The last stage's target under this treatment's name, with the costs of all stages."""
        last: TrainedTarget = stages[-1]
        costs: dict[str, float] = asdict(sum((training_of(stage) for stage in stages), drawn))
        costs["steps"] = sum(stage.describe()["training"]["steps"] for stage in stages)
        applied = [*self.base.describe().get("treatments", []), self.treatment.settings()]
        provenance = {
            **last.provenance, "treatment": self.treatment.settings(), "treatments": applied,
            "training": costs, "feedback": dict(told),
        }  # fmt: skip
        return replace(last, name=f"{self.base.name} + {self.treatment.name}", provenance=provenance)
