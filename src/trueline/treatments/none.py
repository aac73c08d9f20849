"""No treatment: the baseline that every paired change is measured against."""

from dataclasses import dataclass
from typing import ClassVar

from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTreatment:
    """Returns the target itself."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[Capability]] = frozenset()
    resources: ClassVar[tuple[str, ...]] = ()

    def fingerprint(self) -> str:
        """A digest of the treatment."""
        return fingerprint({"treatment": self.name, "version": self.version})

    def apply(self, target: Target, resources: Resources) -> Target:
        """The target, untouched."""
        return target
