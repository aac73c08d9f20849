"""Where a local model comes from: a folder, loaded and dropped as needed, or an object in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from trueline.core.fingerprint import DIGEST_LENGTH, file_digest, fingerprint

from .loading import (
    DTYPES,
    LoadOptions,
    check_pair,
    load_config,
    load_generation_config,
    load_model,
    load_tokenizer,
)
from .model_folder import ModelFolder


class ModelSource(Protocol):
    """What the engine and a target need to know of a model."""

    @property
    def key(self) -> str:
        """Equal for targets that use the same module; only one thread works on it."""

    @property
    def kept(self) -> Any | None:
        """The module where a caller holds it himself; None where the engine loads and drops it."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""

    @property
    def parameters(self) -> int:
        """Number of parameters."""

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""

    @property
    def config(self) -> Any:
        """Its transformers configuration."""

    @property
    def generation_config(self) -> Any | None:
        """Its transformers generation settings, where it has some; only their end tokens are used."""

    def load(self) -> Any:
        """The module, in evaluation mode."""

    def digest(self) -> str:
        """A digest of weights, configuration and tokenizer: one changed byte changes it."""

    def describe(self) -> Mapping[str, Any]:
        """Provenance."""


@dataclass(frozen=True, eq=False)
class FolderSource:
    """A checked folder and how it is loaded."""

    folder: ModelFolder
    options: LoadOptions

    @cached_property
    def key(self) -> str:
        """Path, options, and the files' sizes and times."""
        stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in self.folder.files()]
        return fingerprint({"files": stats, "options": self.options})

    @cached_property
    def dtype(self) -> str:
        """The precision in force: as asked, else as config.json says, else that of the stored weights."""
        if self.options.dtype != "auto":
            return self.options.dtype
        named = str(getattr(self.config, "dtype", None) or "").removeprefix("torch.")
        return named if named in DTYPES else self.folder.stored_dtype()

    @property
    def kept(self) -> None:
        """The engine loads and drops it."""
        return None

    @cached_property
    def weight_bytes(self) -> int:
        """From the headers of the weight files."""
        return replace(self.options, dtype=self.dtype).weight_bytes(self.folder)

    @cached_property
    def parameters(self) -> int:
        """Values in the weight files."""
        return self.folder.weight_bytes(1)

    @cached_property
    def tokenizer(self) -> Any:
        """Loaded at first use."""
        return load_tokenizer(self.folder, trust_remote_code=self.options.trust_remote_code)

    @cached_property
    def config(self) -> Any:
        """Read at first use."""
        return load_config(self.folder, self.options)

    @cached_property
    def generation_config(self) -> Any | None:
        """Read at first use."""
        return load_generation_config(self.folder)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""
        return decode(self.tokenizer, tokens, special=True)

    def load(self) -> Any:
        """Load the weights."""
        model = load_model(self.folder, replace(self.options, dtype=self.dtype))
        check_pair(model, self.tokenizer, str(self.folder.path))
        return model

    def digest(self) -> str:
        """sha256 of every file that loaders read; read once while sizes and times stay."""
        files = {f"{p.parent.name}/{p.name}" if self.folder.base else p.name: file_digest(p)
                 for p in self.folder.files()}  # fmt: skip
        return fingerprint({"files": files})

    def describe(self) -> Mapping[str, Any]:
        """Path, files and options."""
        return {
            "path": str(self.folder.path),
            "base": None if self.folder.base is None else str(self.folder.base.path),
            "dtype": self.dtype,
            "device": self.options.device,
            "quantization": self.options.quantization,
            "weights": {Path(p).name: file_digest(p) for p in self.folder.weights},
        }


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A module that a caller made, such as one just trained. It must not be trained further."""

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    _digests: dict[Any, str] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The object itself."""
        return f"memory-{id(self.model)}"

    @property
    def kept(self) -> Any:
        """The module."""
        return self.model

    @property
    def weight_bytes(self) -> int:
        """Of all parameters."""
        return sum(int(p.nbytes) for p in self.model.parameters())

    @property
    def parameters(self) -> int:
        """Of the module, tied ones once."""
        return sum(int(p.numel()) for p in self.model.parameters())

    @property
    def config(self) -> Any:
        """The module's."""
        return self.model.config

    @property
    def generation_config(self) -> Any | None:
        """The module's."""
        return getattr(self.model, "generation_config", None)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""
        return decode(self.tokenizer, tokens, special=True)

    def load(self) -> Any:
        """Nothing to load."""
        return self.model

    def digest(self) -> str:
        """sha256 over names, dtypes, shapes and bytes of parameters and buffers, configuration and
        vocabulary.

        Computed again when a tensor was replaced or changed in place (changes through ``.data`` are not
        noticed).
        """
        tensors = sorted(self.model.state_dict(keep_vars=True).items())
        version = tuple((name, t.data_ptr(), t._version) for name, t in tensors)
        if version not in self._digests:
            digest = hashlib.sha256()
            for name, tensor in tensors:
                digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}".encode())
                digest.update(_bytes_of(tensor))
            config = {
                k: v
                for k, v in self.config.to_dict().items()
                if k not in ("_name_or_path", "transformers_version")
            }
            digest.update(fingerprint({"config": repr(sorted(config.items(), key=str))}).encode())
            digest.update(fingerprint({"vocabulary": self.tokenizer.get_vocab()}).encode())
            self._digests.clear()
            self._digests[version] = digest.hexdigest()[:DIGEST_LENGTH]
        return self._digests[version]

    def describe(self) -> Mapping[str, Any]:
        """What is known of it."""
        parameter = next(self.model.parameters())
        return {
            "path": None,
            "base": None,
            "dtype": str(parameter.dtype).removeprefix("torch."),
            "device": str(parameter.device),
            "quantization": None,
            "weights": {},
        }


def end_tokens(source: ModelSource) -> frozenset[int]:
    """Every token that ends an answer, by generation settings, configuration and tokenizer."""
    found = [source.tokenizer.eos_token_id, getattr(source.config.get_text_config(), "eos_token_id", None)]
    found.append(getattr(source.generation_config, "eos_token_id", None))
    return frozenset(
        int(token)
        for entry in found
        if entry is not None
        for token in (entry if isinstance(entry, list) else [entry])
    )


def decode(tokenizer: Any, tokens: Sequence[int], *, special: bool) -> str:
    """Tokens to text, spaces untouched, with or without special tokens."""
    text: str = tokenizer.decode(
        list(tokens), skip_special_tokens=not special, clean_up_tokenization_spaces=False
    )
    return text


def _bytes_of(tensor: Any) -> bytes:
    import torch

    data: bytes = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return data
