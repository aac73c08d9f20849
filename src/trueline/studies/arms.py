"""Arms: every target under every treatment at every strength and seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from .spec import Named, StudySpec, TargetSpec


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One treated target. ``label`` is unique in a study; ``baseline`` names the untreated arm of its target."""

    target: TargetSpec
    treatment: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    label: str
    baseline: str
    role: str = "treatment"  # or "size": a model of the size curve

    @property
    def is_baseline(self) -> bool:
        """Whether this is the untreated target itself."""
        return self.label == self.baseline


def shown(value: Any) -> str:
    """A parameter as labels write it."""
    if isinstance(value, Mapping):
        return ",".join(f"{k}:{shown(v)}" for k, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _strengths(treatment: Named) -> Iterator[tuple[dict[str, Any], str]]:
    swept = {k: v for k, v in treatment.parameters.items() if isinstance(v, list)}
    fixed = {k: v for k, v in treatment.parameters.items() if not isinstance(v, list)}
    for values in product(*swept.values()):
        chosen = dict(zip(swept, values))
        yield {**fixed, **chosen}, " ".join(f"{k}={shown(v)}" for k, v in chosen.items())


def expand(spec: StudySpec) -> list[Arm]:
    """All arms of a study: the baselines first, then the treatments, then the models of the size curve."""
    arms: list[Arm] = []
    several_targets, several_seeds = len(spec.targets) > 1, len(spec.seeds) > 1
    treatments = sorted(spec.treatments, key=lambda t: t.name != "none")
    for target in spec.targets:
        for seed in spec.seeds:
            prefix = f"{target.name}: " if several_targets else ""
            suffix = f" seed={seed}" if several_seeds else ""
            for treatment in treatments:
                for parameters, strength in _strengths(treatment):
                    name = treatment.label or treatment.name
                    label = prefix + " ".join(filter(None, [name, strength])) + suffix
                    arms.append(
                        Arm(
                            target=target,
                            treatment=treatment.name,
                            parameters=parameters,
                            seed=seed,
                            label=label,
                            baseline=prefix + (treatments[0].label or "none") + suffix,
                        )
                    )
    for target in spec.sizes:
        label = f"size: {target.name}"
        arms.append(Arm(target=target, treatment="none", label=label, baseline=label, role="size"))
    return arms
