"""A copy of a target's model to be trained, and the target that the trained folder becomes."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.core.protocols import Target
from trueline.models.loading import LoadOptions, load_model
from trueline.models.local import LocalTarget
from trueline.models.sources import FolderSource, end_tokens
from trueline.training.codec import ChatCodec


@dataclass(frozen=True, kw_only=True)
class TrainedTarget(LocalTarget):
    """A local target that came out of a treatment; ``provenance`` says how, and what its training cost."""

    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def describe(self) -> Mapping[str, Any]:
        """The local target's provenance with ``treatments``, ``training`` (tokens, flops, seconds) and the
        ``source`` folder."""
        return {**super().describe(), **self.provenance}


def local(target: Target, method: str) -> LocalTarget:
    """The target as a local model whose weights can be trained; InputError where it is none."""
    if not isinstance(target, LocalTarget):
        raise InputError(
            f"{method} trains weights, but {target.name!r} is no local model; give a transformers folder "
            "or a hub name."
        )
    if target.interventions:
        raise InputError(
            f"{method} cannot train {target.name!r} under its interventions; train first and intervene then."
        )
    if target.source.describe().get("quantization") is not None:
        raise InputError(
            f"{method} cannot train quantised weights; load {target.name!r} without quantization."
        )
    return target


def codec_of(target: LocalTarget) -> ChatCodec:
    """How the target's prompts and answers become tokens, its system prompt included."""
    return ChatCodec(target.encoding, end_tokens(target.source))


def fresh_model(target: LocalTarget) -> Any:
    """The target's model in fp32 on the CPU, in an object of its own; adapters are merged."""
    source = target.source
    if not isinstance(source, FolderSource):
        return copy.deepcopy(source.load()).float()
    options = LoadOptions(dtype="float32", trust_remote_code=source.options.trust_remote_code)
    if source.folder.base is None:
        return load_model(source.folder, options)
    from peft import PeftModel

    base = load_model(source.folder.base, options)
    return PeftModel.from_pretrained(base, str(source.folder.path)).merge_and_unload()


def trained_target(base: LocalTarget, folder: Path, *, method: str, provenance: Mapping[str, Any]) -> Target:
    """The folder as a target that computes as ``base`` does: same precision, device and system prompt."""
    where = base.source.describe()
    dtype = where["dtype"]
    if dtype == "auto":
        # the folder is stored in fp32, so "auto" would mean something else there
        dtype = str(base.source.config.dtype or base.model.dtype).removeprefix("torch.")
    target = TrainedTarget.from_pretrained(
        folder,
        dtype=dtype,
        device=where["device"],
        system_prompt=base.system_prompt,
        name=f"{base.name} + {method}",
        engine=base.engine,
    )
    earlier = base.describe().get("treatments", [])
    applied = [*earlier, provenance.get("treatment", {"name": method})]
    told = {**provenance, "treatments": applied, "source": str(folder)}
    assert isinstance(target, TrainedTarget)
    return replace(target, provenance=told)
