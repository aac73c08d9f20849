"""Replace the model by another one, such as its own fine-tune: what `trueline diff` compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Capability, Resources, Target
from trueline.models.recorded import RECORDED, open_recorded


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Answers come from ``model``: a folder or hub name, ``openai:NAME@BASE_URL``,
    ``inspect:PROVIDER/NAME``, or ``recorded:NAME``, which had no system prompt of ours."""

    model: str
    dtype: str = "auto"
    device: str = "cpu"
    name: ClassVar[str] = "replace"
    needs: ClassVar[frozenset[Capability]] = frozenset()
    resources: ClassVar[tuple[str, ...]] = ()

    def fingerprint(self) -> str:
        """Digest of the settings; the replacing target's own fingerprint covers its weights."""
        return fingerprint({"treatment": self.name, "model": self.model, "dtype": self.dtype})

    def apply(self, target: Target, resources: Resources) -> Target:
        """The other model, under the effective system prompt of the first."""
        description: Mapping[str, object] = target.describe()
        prompt = description.get("system_prompt")
        system_prompt = prompt if isinstance(prompt, str) else None
        if self.model.startswith("openai:"):
            from trueline.models.endpoints.opening import open_endpoint

            return open_endpoint(self.model, system_prompt=system_prompt)
        if self.model.startswith("inspect:"):
            from trueline.models.inspect_model import open_inspect

            return open_inspect(self.model, system_prompt=system_prompt)
        if self.model.startswith(RECORDED):
            if system_prompt is not None:
                raise InputError(
                    f"{self.model!r} replays stored answers, so it cannot follow the target's system prompt "
                    f"{system_prompt!r}: replace a target without one."
                )
            return open_recorded(self.model)
        from trueline.models.local import LocalTarget

        return LocalTarget.from_pretrained(
            self.model, dtype=self.dtype, device=self.device, system_prompt=system_prompt
        )
