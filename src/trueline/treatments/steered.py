"""What steering treatments share: directions are found, one is hooked into the model, a target comes out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target

if TYPE_CHECKING:
    from torch import Tensor

    from trueline.data.labelled import LabelledText
    from trueline.models.local import LocalTarget
    from trueline.models.requests import Intervention


@dataclass(frozen=True, kw_only=True)
class SteeringTreatment:
    """The dials of a steering treatment; each method is a subclass that finds directions and uses one.

    ``layer`` counts from 0; left out it is the middle one.
    """

    scale: float = 1.0
    layer: int | None = None

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.INTERVENTIONS})
    resources: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise InputError(f"{self.name} with scale {self.scale} is not allowed: give a finite number.")

    def settings(self) -> Mapping[str, Any]:
        """Name, version and dials, for provenance."""
        return {"name": self.name, "version": self.version, **asdict(self)}

    def fingerprint(self) -> str:
        """A digest of the dials (the direction's own enters the treated target's)."""
        return fingerprint(self.settings())

    def directions(self, base: "LocalTarget", resources: Resources) -> "Tensor":
        """A direction after each layer: [L, D]."""
        raise NotImplementedError

    def intervention(self, direction: "Tensor", layer: int) -> "Intervention":
        """What is done with the direction [D] of the chosen layer: it is added there."""
        from trueline.interventions.steering import AddVector

        return AddVector(vector=direction, layer=layer, scale=self.scale)

    def apply(self, target: Target, resources: Resources) -> Target:
        """The target under the intervention. Raises InputError without a local model or without data."""
        from trueline.models.local import LocalTarget

        from .copies import TrainedTarget

        if not isinstance(target, LocalTarget):
            raise InputError(
                f"{self.name} changes activations, but {target.name!r} is no local model; give a transformers "
                "folder or a hub name."
            )
        found = self.directions(target, resources)
        layer = len(found) // 2 if self.layer is None else self.layer
        if not 0 <= layer < len(found):
            raise InputError(
                f"layer {layer} is not there: this model has {len(found)}, numbered 0 to {len(found) - 1}: give one "
                "of these."
            )
        told = dict(target.provenance) if isinstance(target, TrainedTarget) else {}
        applied = {**self.settings(), "layer": layer}
        return TrainedTarget(
            name=f"{target.name} + {self.name}",
            source=target.source,
            system_prompt=target.system_prompt,
            interventions=(*target.interventions, self.intervention(found[layer], layer)),
            engine=target.engine,
            provenance={**told, "treatments": [*target.describe().get("treatments", []), applied]},
        )


def refusal_directions(method: str, base: "LocalTarget", resources: Resources) -> "Tensor":
    """Harmful minus harmless requests at the prompt's last token, after each layer: [L, D]."""
    from trueline.data.labelled import check_sides
    from trueline.interventions.directions import difference_in_means, last_states

    if not resources.requests:
        raise InputError(
            f"{method} compares harmful with harmless requests, but none were given: give resources.requests."
        )
    rows: Sequence[LabelledText] = resources.requests
    check_sides(rows, f"{method}'s requests")
    harmful, harmless = (
        last_states(base, [base.encoding.start(row.prompt) for row in rows if row.wanted is wanted])
        for wanted in (False, True)
    )
    return difference_in_means(harmful, harmless)
