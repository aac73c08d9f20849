"""What treatments by arithmetic on weights share: a fine-tuned target, the model it came from, a less safe one.

``base`` is the aligned model before the fine-tune, ``unaligned`` one of the same architecture with the safety
taken out: given, or made here by fine-tuning the base on ``resources.forget``'s unwanted answers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.building import build
from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target
from trueline.data.preferences import Demonstration

from .sft import SupervisedFineTuning

if TYPE_CHECKING:
    from torch import Tensor

    from trueline.models.local import LocalTarget

TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class Reweighted:
    """A treatment that computes new weights from the target's, the base's and an unaligned model's.

    ``base`` and ``unaligned`` are folders or hub names, or "given" (``resources.targets``); ``unaligned``
    "trained" fine-tunes the base on the unwanted answers of ``resources.forget``, by ``unaligned_settings``
    (dials of sft).
    """

    base: str = "given"
    unaligned: str = TRAINED
    unaligned_settings: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GRADIENTS})

    def __post_init__(self) -> None:
        if self.unaligned_settings and self.unaligned != TRAINED:
            raise InputError(
                f"unaligned_settings were given with unaligned {self.unaligned!r}: they belong to 'trained'."
            )
        self._fine_tune()

    @property
    def resources(self) -> tuple[str, ...]:
        """Unwanted answers, where an unaligned model is to be made."""
        return ("forget",) if self.unaligned == TRAINED else ()

    @property
    def targets(self) -> Mapping[str, str]:
        """Models to be opened as ``resources.targets``, by role."""
        named = {"base": self.base, "unaligned": self.unaligned}
        return {role: model for role, model in named.items() if model not in ("given", TRAINED)}

    def settings(self) -> dict[str, Any]:
        """Name, version and dials, for provenance."""
        return {"name": self.name, "version": self.version, **asdict(self)}

    def fingerprint(self) -> str:
        """A digest of method and dials."""
        return fingerprint(self.settings())

    def combine(
        self,
        tuned: "Mapping[str, Tensor]",
        base: "Mapping[str, Tensor]",
        unaligned: "Mapping[str, Tensor]",
        seed: int,
    ) -> "tuple[Mapping[str, Tensor], dict[str, Any]]":
        """The new weights, and what to tell of them."""
        raise NotImplementedError

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without a base, or where architectures differ."""
        import torch

        from trueline.training.folders import make_folder, read_manifest, save_model, write_manifest

        from .copies import fresh_model, local, trained_target

        tuned = local(target, self.name)
        base = local(self._role("base", resources), self.name)
        unaligned = local(self._unaligned(base, resources), self.name)
        models = {"tuned": tuned, "base": base, "unaligned": unaligned}
        prints = {role: model.fingerprint() for role, model in models.items()}
        folder = (
            resources.workdir / f"{self.name}-{fingerprint([self.settings(), prints, resources.seed])[:16]}"
        )
        manifest = read_manifest(folder)
        if manifest is None:
            make_folder(folder)
            model = fresh_model(tuned)
            with torch.no_grad():
                weights, told = self.combine(
                    distinct(model),
                    distinct(fresh_model(base)),
                    distinct(fresh_model(unaligned)),
                    resources.seed,
                )
                named = dict(model.named_parameters())
                for name, value in weights.items():
                    named[name].copy_(value)
            save_model(folder / "model", model, tuned.tokenizer)
            manifest = {"treatment": self.settings(), "models": prints, "weights": told}
            write_manifest(folder, manifest)
        provenance = {"treatment": self.settings(), "models": prints, "arithmetic": manifest["weights"]}
        if "training" in tuned.describe():
            provenance["training"] = tuned.describe()["training"]
        return trained_target(tuned, folder / "model", method=self.name, provenance=provenance)

    def _role(self, role: str, resources: Resources) -> Target:
        if role not in resources.targets:
            raise InputError(
                f"{self.name} needs the {role} model: name its folder ({role}: FOLDER in a study file, --set "
                f"{role}=FOLDER), or give resources.targets[{role!r}]."
            )
        return resources.targets[role]

    def _unaligned(self, base: "LocalTarget", resources: Resources) -> Target:
        if self.unaligned != TRAINED:
            return self._role("unaligned", resources)
        harmful = harmful_demonstrations(resources.forget or ())
        if not harmful:
            raise InputError(
                f"{self.name} makes its unaligned model from unwanted answers, but none were given: give "
                "resources.forget with answers labelled forget, or name an unaligned model."
            )
        return self._fine_tune().apply(base, replace(resources, demonstrations=harmful))

    def _fine_tune(self) -> SupervisedFineTuning:
        try:
            made: SupervisedFineTuning = build(
                "treatment", "sft", SupervisedFineTuning, self.unaligned_settings
            )
        except InputError as error:
            raise InputError(f"unaligned_settings do not fit: {error}") from error
        return made


def harmful_demonstrations(rows: Any) -> tuple[Demonstration, ...]:
    """The unwanted answers to requests among labelled texts."""
    return tuple(
        Demonstration(prompt=row.prompt, answer=row.answer)
        for row in rows
        if not row.wanted and row.answer and not isinstance(row.prompt, str)
    )


def distinct(model: Any) -> "dict[str, Tensor]":
    """The model's weights by name, each tied one once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}
